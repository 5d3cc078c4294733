#!/usr/bin/env python3
"""Find the sections below a folder and write a samplesheet of them."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from efnst.program.cli import run

log = logging.getLogger("efnst")


def main(
    folder: Annotated[Path, typer.Argument(help="Folder to look below.")],
    output: Annotated[
        Path | None, typer.Option("--output", help="Write the samplesheet to this file; otherwise it is printed.")
    ] = None,
) -> None:
    """Find Space Ranger outs, archives of them, .h5ad files and SpatialData below a folder; write a samplesheet.

    Where a section has one full-resolution image beside it, or labels.csv, they stand in the row. Nothing is run.
    """
    import csv
    import io

    from efnst.errors import EfnstError
    from efnst.inputs.find import find_sections, rows

    if output and output.exists():
        raise EfnstError(f"Expected a new file for the samplesheet, found {output}: move it away or name another.")
    found, notes = find_sections(folder)
    for note in notes:
        log.warning("%s", note)
    for section in found:
        log.info("%s: %s%s", section.sample, section.section, f" ({section.note})" if section.note else "")
    if not found:
        raise EfnstError(
            f"Expected Space Ranger outs, archives, .h5ad or .zarr below {folder}, found none: name another folder."
        )
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows(found, (output or Path("x")).resolve().parent))
    if output:
        output.write_text(text.getvalue(), encoding="utf-8")
        log.info("%d sections in %s; `./efnst check %s` opens them", len(found), output, output)
    else:
        typer.echo(text.getvalue(), nl=False)


if __name__ == "__main__":
    run(main)
