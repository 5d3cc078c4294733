#!/usr/bin/env python3
"""Check the parameters and the samplesheet, and list the sections."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from efnst.errors import EfnstError
from efnst.program.arguments import GeneSets, Outdir, ReferenceFolder
from efnst.program.cli import run, write_json, write_warnings

log = logging.getLogger("efnst")
PROJECT = Path(__file__).resolve().parent.parent


def main(
    input: Annotated[Path | None, typer.Option("--input", help="Samplesheet (CSV, TSV or YAML).")] = None,
    params: Annotated[Path | None, typer.Option("--params", help="Parameters of the run, as JSON.")] = None,
    schema: Annotated[Path, typer.Option("--schema", help="Schema of the parameters.", show_default=False)] = PROJECT
    / "nextflow_schema.json",
    sheet_schema: Annotated[
        Path, typer.Option("--sheet_schema", help="Schema of the samplesheet.", show_default=False)
    ] = PROJECT / "assets" / "samplesheet_schema.json",
    base: Annotated[
        str, typer.Option("--base", help="Folder or URI that relative paths in the samplesheet start from.")
    ] = "",
    gene_sets: GeneSets = None,
    reference: ReferenceFolder = None,
    outdir: Outdir = Path(),
    problems: Annotated[
        Path | None,
        typer.Option("--problems", help="Write problems to this file and exit 0, instead of printing them and exit 2."),
    ] = None,
) -> None:
    """Check the parameters against nextflow_schema.json and the samplesheet against its own schema.

    All problems are found at once. Of the files that are named only gene sets and a reference are looked at.
    Writes sections.json (one entry per section, with full paths) and parameters.json (every parameter with its type and
    default), and warnings.txt where there is something to know.
    """
    from efnst.inputs.combinations import combination_problems, group_warnings
    from efnst.program.parameters import check_parameters, defaults, problem_list, read_parameters, read_schema
    from efnst.program.terminal import printable
    from efnst.provenance.without_effect import effect_warnings
    from efnst.records.base import write_record
    from efnst.records.cohort import SheetRow

    given = read_parameters(params) if params else {"input": str(input or ""), "outdir": str(outdir)}
    about = read_schema(schema)
    parameters, found = check_parameters(given, about)
    listed, wrong = _sections(input, read_schema(sheet_schema), parameters, base) if input else ([], [])
    found += combination_problems(parameters, defaults(about), listed) if not found else []
    found += wrong + (_gene_set_problems(gene_sets) if gene_sets else [])
    found += _reference_problems(reference, str(parameters.get("reference", ""))) if reference else []

    message = printable(problem_list(found, "the parameters and the samplesheet"))
    if message and problems is None:
        raise EfnstError(message)
    if problems is not None:
        problems.write_text(message, encoding="utf-8")
    told = [] if message else effect_warnings(parameters, defaults(about)) + group_warnings(parameters, listed)
    write_warnings(outdir, told + _sheet_warnings(listed))
    write_record(outdir / "sections.json", [] if message else [SheetRow(**section) for section in listed])
    write_json(outdir / "parameters.json", parameters)
    log.info("%d sections, %d problems", len(listed), len(found))


def _sections(path: Path, schema: dict, parameters: dict, base: str) -> tuple[list[dict], list[str]]:
    """The sections of a samplesheet, and what is wrong with it."""
    from efnst.inputs.samplesheet import absolute_base, read_samplesheet, sections

    name = Path(str(parameters.get("input", path))).name
    try:
        folder = absolute_base(base or str(path.resolve().parent))
        listed, wrong = sections(read_samplesheet(path), schema, parameters, folder)
    except EfnstError as error:
        return [], [f"{name}: {error}"]
    return listed, [f"{name}, {line}" for line in wrong]


def _sheet_warnings(listed: list[dict]) -> list[str]:
    """What the user should know of the rows of a samplesheet."""
    from efnst.inputs.covariates import covariate_warnings
    from efnst.inputs.repeated import repeated_sections

    return covariate_warnings(listed) + repeated_sections(listed)


def _gene_set_problems(path: Path) -> list[str]:
    """What is wrong with a file of gene sets, which else every section would fail by."""
    from efnst.inputs.gene_sets import read_gene_sets

    try:
        read_gene_sets(path)
    except EfnstError as error:
        return [f"parameter --gene_sets: {error}"]
    return []


def _reference_problems(folder: Path, given: str) -> list[str]:
    """What is wrong with a reference, called `given`, which else every section would fail by after its embedding."""
    from efnst.embedding.reference_folder import read_reference

    try:
        read_reference(folder, given)
    except EfnstError as error:
        return [f"parameter --reference: {error}"]
    return []


if __name__ == "__main__":
    run(main)
