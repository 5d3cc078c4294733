#!/usr/bin/env python3
"""Step: one row per section, and the content of the cohort's MultiQC report."""

import logging
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from efnst.program.arguments import Outdir
from efnst.program.cli import run, write_json

if TYPE_CHECKING:
    from efnst.records.cohort import Failure
    from efnst.reports.cohort import Outcome

log = logging.getLogger("efnst")
STEP = "cohort_summary"
FOLDER = "or a folder with any number of them"


def main(
    sections: Annotated[Path, typer.Option(help="sections.json of check_inputs.")],
    summaries: Annotated[list[Path], typer.Option(help=f"section_summary.json, {FOLDER}.")] = [],  # noqa: B006
    failures: Annotated[list[Path], typer.Option(help=f"Failure record (JSON), {FOLDER}.")] = [],  # noqa: B006
    warnings: Annotated[list[Path], typer.Option(help=f"Record (JSON) of what a section does without, {FOLDER}.")] = [],  # noqa: B006
    thumbnails: Annotated[list[Path], typer.Option(help=f"<sample>_thumbnail.webp, {FOLDER}.")] = [],  # noqa: B006
    pseudobulk: Annotated[list[Path], typer.Option(help=f"<sample>_pseudobulk.csv, {FOLDER}.")] = [],  # noqa: B006
    described: Annotated[
        Path | None, typer.Option(help="Folder with those of describe_domains, each named like its sample.")
    ] = None,
    versions: Annotated[list[Path], typer.Option(help=f"versions.yml, {FOLDER}.")] = [],  # noqa: B006
    common: Annotated[bool, typer.Option(help="Whether a domain is the same in all sections.")] = False,
    outdir: Outdir = Path(),
) -> None:
    """Summarise the cohort: how every section of the samplesheet ended, and what the report shows of it.

    Writes summary.csv and summary.parquet (one row per section and method), sections.csv (one row per section), in the
    order of the samplesheet, proportions.csv, pseudobulk.h5ad and, of common domains, further tables of statistics;
    for MultiQC, efnst_*_mqc.json and efnst_mqc_versions.yml; warnings.txt where there is something to know. Each option
    for inputs may be given several times.
    """
    from efnst.program.any_cpu import compile_for_any_cpu
    from efnst.program.cli import write_warnings
    from efnst.records.base import read_record
    from efnst.records.cohort import Failure, SectionSummary, SheetRow
    from efnst.reports.cohort import files_below, outcomes, read_all
    from efnst.reports.cohort_statistics import cohort_statistics, write_statistics
    from efnst.reports.multiqc import contents
    from efnst.reports.profiles import profiles_of
    from efnst.statistics.pseudobulk import read_sums, why_left_out
    from efnst.statistics.repeated import same_counts

    compile_for_any_cpu()
    listed = read_record(sections, list[SheetRow])
    groups = {section.id: section.group for section in listed}
    found = {summary.sample: summary for summary in read_all(summaries, SectionSummary)}
    sums = read_sums(_of_samples(pseudobulk, "_pseudobulk.csv", [sample for sample in groups if sample in found]))
    told = same_counts(sums)
    warned = read_all(warnings, Failure) + (_warnings(told) if common else [])
    ended = outcomes(list(groups), list(found.values()), read_all(failures, Failure), warned)
    _write_tables(ended, groups, outdir)
    pictures = _of_samples(thumbnails, "_thumbnail.webp", list(groups))
    statistics = cohort_statistics(ended, listed, _folders(described), common, sums)
    write_statistics(statistics, sums, outdir)
    write_warnings(outdir, [*told, *statistics.told, *filter(None, [why_left_out(sums)])])
    for name, content in contents(ended, pictures, profiles_of(sums), groups, statistics, list(told)).items():
        write_json(outdir / f"{name}_mqc.json", content)
    _write_versions(files_below(versions, ".yml"), outdir)
    _log(ended)


def _warnings(told: dict[str, list[str]]) -> list["Failure"]:
    """What is told of several samples, for each of them."""
    from efnst.records.cohort import Failure

    return [Failure(sample=each, step=STEP, reason=text) for text, samples in told.items() for each in samples]


def _write_tables(ended: list["Outcome"], groups: dict[str, str], outdir: Path) -> None:
    """Write sections.csv, summary.csv and summary.parquet."""
    from efnst.program.spreadsheets import harmless_table
    from efnst.reports.cohort import summary_table, write_sections

    write_sections(ended, outdir / "sections.csv")
    table = summary_table(ended, groups)
    harmless_table(table).to_csv(outdir / "summary.csv", index=False)
    table.to_parquet(outdir / "summary.parquet", index=False)


def _of_samples(paths: list[Path], ending: str, samples: list[str]) -> dict[str, Path]:
    """The files `<sample><ending>` of these samples, in their order."""
    from efnst.reports.cohort import files_below

    found = {path.name.removesuffix(ending): path for path in files_below(paths, ending)}
    return {sample: found[sample] for sample in samples if sample in found}


def _folders(parent: Path | None) -> dict[str, Path]:
    """The folders in a folder, by name."""
    return {path.name: path for path in parent.iterdir() if path.is_dir()} if parent else {}


def _write_versions(paths: list[Path], outdir: Path) -> None:
    """The versions that all tasks ran with, for MultiQC, where there are any."""
    import yaml

    from efnst.reports.cohort import merged_versions

    software = merged_versions(paths)
    if software:
        (outdir / "efnst_mqc_versions.yml").write_text(yaml.safe_dump(software, sort_keys=False))


def _log(ended: list["Outcome"]) -> None:
    """Name the sections that failed, and count how all ended."""
    for outcome in ended:
        if outcome.status in ("fail", "error"):
            log.warning("%s: %s, %s", outcome.sample, outcome.status, outcome.reason)
    counts = Counter(outcome.status for outcome in ended)
    log.info("%d sections: %s", len(ended), ", ".join(f"{count} {status}" for status, count in counts.items()))


if __name__ == "__main__":
    run(main)
