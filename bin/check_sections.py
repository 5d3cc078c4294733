#!/usr/bin/env python3
"""Check a samplesheet and open every file that it names, without running anything."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from efnst.image.options import PatchOptions
from efnst.inputs.options import SourceOptions
from efnst.program.cli import run

log = logging.getLogger("efnst")
SCHEMA = Path(__file__).resolve().parent.parent / "assets" / "samplesheet_schema.json"


def main(
    input: Annotated[Path, typer.Argument(help="Samplesheet (CSV, TSV or YAML).")],
    encoder_onnx: Annotated[
        Path | None, typer.Option("--encoder_onnx", help="An encoder of your own, whose cost is told.")
    ] = None,
    options: SourceOptions = SourceOptions(),
    patches: PatchOptions = PatchOptions(),
) -> None:
    """Check a samplesheet and open every file that it names: seconds for a cohort, and nothing is run.

    Everything is checked that a run would check, except the counts themselves: names of spots and genes, positions,
    scale factors, images, labels, and whether they fit together. All problems of all rows are reported at once.
    """
    from efnst.errors import EfnstError
    from efnst.inputs.check import check_rows
    from efnst.inputs.samplesheet import read_samplesheet
    from efnst.program.parameters import problem_list, read_schema

    base, expression_rep = str(input.resolve().parent), options.expression_rep or ""
    checked = check_rows(read_samplesheet(input), read_schema(SCHEMA), base, expression_rep)
    for line in checked.sound:
        log.info("%s", line)
    for line in checked.warnings:
        log.warning("%s", line)
    if checked.problems:
        raise EfnstError(problem_list(checked.problems, f"{input.name} and its files"))
    log.info("%s: %d sections, no problems", input.name, len(checked.sound))
    if encoder_onnx:
        _tell_cost(encoder_onnx, checked.n_places, patches)


def _tell_cost(encoder: Path, n_places: int, patches: PatchOptions) -> None:
    """Say what an encoder costs for patches at so many places, as EMBED_PATCHES would run it here."""
    from efnst.encoder.cost import cost_of_run
    from efnst.encoder.declaration import read_declaration, refuse_windows
    from efnst.image.patches import patch_sizes
    from efnst.program.arguments import THREADS_OF_A_STEP

    declared = read_declaration(encoder.with_suffix(".json"), encoder)
    widths = patch_sizes(patches.patch_um) if patches.patch_um else []
    refuse_windows(declared, widths)
    n_patches = n_places * patches.patches_per_spot * max(1, len(widths))
    log.info("%s: %s", declared.name, cost_of_run(encoder, declared, n_patches, THREADS_OF_A_STEP))


if __name__ == "__main__":
    run(main)
