#!/usr/bin/env python3
"""Step: the section's domains in the forms of other tools, and figures for papers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from efnst.exports.options import ExportOptions
from efnst.program.arguments import DomainsFile, Failure, Outdir, Sample
from efnst.program.cli import run

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData

Outlines = Callable[[], "dict[str, np.ndarray]"]  # those of section_outlines, made when first asked for
log = logging.getLogger("efnst")


def main(
    sample: Sample,
    domains: DomainsFile,
    outdir: Outdir = Path(),
    failure: Failure = None,
    options: ExportOptions = ExportOptions(),
) -> None:
    """Export the domains of one section.

    Writes, as far as asked for, exports/loupe.csv, exports/domains_<image>.geojson, exports/<sample>.zarr and figures/.
    An export that fails does not keep the others from being made: the program tells of it at its end.
    """
    import anndata

    from efnst.errors import EfnstError
    from efnst.exports.tables import section_outlines
    from efnst.machine import lack_of

    for library in ("fontTools", "spatialdata", "matplotlib"):  # they report each step of their own
        logging.getLogger(library).setLevel(logging.WARNING)
    asked = {"all": list(WRITERS), "none": []}.get(options.exports, options.forms)
    section = anndata.read_h5ad(domains)
    outlines = cache(lambda: section_outlines(section))
    wrong = []
    for name in asked:
        try:
            WRITERS[name](section, sample, outdir, outlines)
            log.info("%s: %s written", sample, name)
        except Exception as error:  # whatever it is, the results and the other exports stay
            if lack_of(error):
                raise
            log.exception("%s: %s failed", sample, name)
            wrong.append(f"{name}, {error if isinstance(error, EfnstError) else repr(error)}")
    if wrong:
        raise EfnstError("Expected all exports to be written, these were not: " + "; ".join(wrong))


def write_loupe(section: AnnData, sample: str, outdir: Path, outlines: Outlines) -> None:
    """Categories for Loupe Browser."""
    from efnst.exports.tables import loupe_table

    loupe_table(section.obs).to_csv(_folder(outdir, "exports") / "loupe.csv", index=False)


def write_geojson(section: AnnData, sample: str, outdir: Path, outlines: Outlines) -> None:
    """Outlines for QuPath, one file for each image they may be laid on."""
    from efnst.exports.tables import image_scales, outlines_geojson
    from efnst.names import DOMAIN

    for image in image_scales(section):
        text = outlines_geojson(section, outlines()[DOMAIN], image)
        (_folder(outdir, "exports") / f"domains_{image}.geojson").write_text(text + "\n", encoding="utf-8")


def write_figures(section: AnnData, sample: str, outdir: Path, outlines: Outlines) -> None:
    """Figures for papers."""
    from efnst.exports.figures import draw_figures

    draw_figures(section, sample, outlines(), _folder(outdir, "figures"))


def write_spatialdata(section: AnnData, sample: str, outdir: Path, outlines: Outlines) -> None:
    """A SpatialData store; importing that library alone takes seconds."""
    from efnst.exports.spatial_data import write_spatial_data
    from efnst.names import DOMAIN

    write_spatial_data(section, sample, outlines()[DOMAIN], _folder(outdir, "exports") / f"{sample}.zarr")


def _folder(outdir: Path, name: str) -> Path:
    """The folder `name` of the results, made where it is not there."""
    (outdir / name).mkdir(parents=True, exist_ok=True)
    return outdir / name


WRITERS = {"loupe": write_loupe, "geojson": write_geojson, "figures": write_figures, "spatialdata": write_spatialdata}

if __name__ == "__main__":
    run(main)
