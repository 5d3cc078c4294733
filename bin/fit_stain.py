#!/usr/bin/env python3
"""Fit the reference of the stains on a cohort."""

from pathlib import Path
from typing import Annotated

import typer

from efnst.program.arguments import Outdir
from efnst.program.cli import run


def main(
    image_qc: Annotated[list[Path], typer.Argument(help="image_qc.json of tile_image.py, one for each section.")],
    outdir: Outdir = Path(),
) -> None:
    """Fit the reference that all sections of a cohort are brought to: the median of the statistics of their stains."""
    from efnst.image.stain.statistics import METHODS, fit_reference
    from efnst.program.cli import log
    from efnst.records.base import read_record, write_record
    from efnst.records.quality import ImageQc, StainReference

    reference = fit_reference([read_record(path, ImageQc).plain()["stain"] for path in image_qc])
    write_record(outdir / "stain_reference.json", StainReference(**reference))
    for method in METHODS[1:]:
        if reference[method] is None:
            log.warning("no section has %s statistics: with this method all sections stay as they are", method)
    log.info("stain reference of %d sections", len(image_qc))


if __name__ == "__main__":
    run(main)
