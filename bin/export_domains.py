#!/usr/bin/env python3
"""Step: the section's domains in the forms of other tools, and figures for papers."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from efnst.exports.options import ExportOptions
from efnst.program.arguments import BinsFile, DomainsFile, Failure, Outdir, Sample
from efnst.program.cli import run

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData

log = logging.getLogger("efnst")

UNDRAWN = (
    "Expected a font with all characters of the labels, found none with {characters}: they are boxes in the PNG and "
    "PDF files of figures/, and text in the SVG files. Install a font that has them, or spell the labels in other "
    "letters."
)


def main(
    sample: Sample,
    domains: DomainsFile,
    bins: BinsFile = None,
    outdir: Outdir = Path(),
    failure: Failure = None,
    options: ExportOptions = ExportOptions(),
) -> None:
    """Export the domains of one section.

    Writes, as far as asked for, exports/loupe.csv, exports/domains_<image>.geojson, exports/<sample>.zarr and figures/.
    Where the section was analysed in units of bins, the exports are of the bins; outlines of cells, which do not fill
    the plane, are those of their units. An export that fails does not keep the others from being made: the program
    tells of it at its end.
    """
    from efnst.errors import EfnstError
    from efnst.machine import lack_of

    for library in ("fontTools", "spatialdata", "matplotlib"):  # they report each step of their own
        logging.getLogger(library).setLevel(logging.WARNING)
    asked = {"all": list(WRITERS), "none": []}.get(options.exports, options.forms)
    results = _results(domains, bins)
    wrong, doubts = [], []
    for name in asked:
        try:
            doubts += WRITERS[name](results, sample, outdir) or []
            log.info("%s: %s written", sample, name)
        except Exception as error:  # whatever it is, the results and the other exports stay
            if lack_of(error):
                raise
            log.exception("%s: %s failed", sample, name)
            said = error if isinstance(error, EfnstError) else f"which ended by {type(error).__name__}: {error}"
            wrong.append(f"{name}, {said}")
    if wrong:
        doubts.append(
            f"Expected all exports to be written, these were not: {'; '.join(wrong)}. The results and the other "
            "exports are complete; the log of this step says more. Leave out of `exports` what you do not need."
        )
    if doubts:
        raise EfnstError(" ".join(doubts))


@dataclass(frozen=True)
class Results:
    """What is exported: `pieces` (spots, bins or cells with their domains), `drawn` (what outlines are made of).

    They differ where cells were analysed, which do not fill the plane: then the units are drawn. `bins` is the file
    that the pieces' counts are in, None where they are the spots of the section.
    """

    pieces: AnnData
    drawn: AnnData
    bins: Path | None

    @cached_property
    def outlines(self) -> dict[str, np.ndarray]:
        """Those of `section_outlines`, made when first asked for."""
        from efnst.exports.tables import section_outlines

        return section_outlines(self.drawn)

    def with_counts(self) -> AnnData:
        """The pieces with their counts."""
        from efnst.inputs.hdf5 import read_own

        return self.pieces if self.bins is None else read_own(self.bins)


def _results(domains: Path, bins: Path | None) -> Results:
    """The results of one section."""
    from efnst.domains.bins import read_bin_domains
    from efnst.geometry.grid import IRREGULAR
    from efnst.inputs.hdf5 import read_own
    from efnst.names import SECTION

    section = read_own(domains)
    if bins is None:
        return Results(section, section, None)
    pieces = read_bin_domains(bins)
    return Results(pieces, section if pieces.uns[SECTION]["grid"] == IRREGULAR else pieces, bins)


def write_loupe(results: Results, sample: str, outdir: Path) -> None:
    """Categories for Loupe Browser."""
    from efnst.exports.tables import loupe_table
    from efnst.names import PROVENANCE
    from efnst.program.spreadsheets import harmless_table

    n_domains = results.pieces.uns[PROVENANCE]["domains"]["n_domains_asked"]
    table = harmless_table(loupe_table(results.pieces.obs, n_domains))
    table.to_csv(_folder(outdir, "exports") / "loupe.csv", index=False)


def write_geojson(results: Results, sample: str, outdir: Path) -> None:
    """Outlines for QuPath, one file for each image they may be laid on, or one in µm."""
    from efnst.exports.tables import outline_scales, outlines_geojson
    from efnst.names import DOMAIN

    for image in outline_scales(results.drawn):
        text = outlines_geojson(results.drawn, results.outlines[DOMAIN], image)
        (_folder(outdir, "exports") / f"domains_{image}.geojson").write_text(text + "\n", encoding="utf-8")


def write_figures(results: Results, sample: str, outdir: Path) -> list[str]:
    """Figures for papers; what of their text no font of the machine has."""
    from efnst.exports.figures import draw_figures, texts_of
    from efnst.exports.fonts import further_fonts

    draw_figures(results.drawn, sample, results.outlines, _folder(outdir, "figures"))
    _, missing = further_fonts(texts_of(results.drawn, sample))
    return [UNDRAWN.format(characters=missing)] if missing else []


def write_spatialdata(results: Results, sample: str, outdir: Path) -> None:
    """A SpatialData store; importing that library alone takes seconds."""
    from efnst.exports.spatial_data import write_spatial_data
    from efnst.names import DOMAIN

    path = _folder(outdir, "exports") / f"{sample}.zarr"
    names = results.drawn.obs[DOMAIN].astype("category").cat.categories
    outlines = dict(zip(names, results.outlines[DOMAIN], strict=True))
    write_spatial_data(results.with_counts(), sample, outlines, path)


def _folder(outdir: Path, name: str) -> Path:
    """The folder `name` of the results, made where it is not there."""
    (outdir / name).mkdir(parents=True, exist_ok=True)
    return outdir / name


WRITERS = {"loupe": write_loupe, "geojson": write_geojson, "figures": write_figures, "spatialdata": write_spatialdata}

if __name__ == "__main__":
    run(main)
