#!/usr/bin/env python3
"""Read one section from a Space Ranger folder, an archive of one, an .h5ad file or a SpatialData zarr."""

import logging
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from efnst.inputs.options import SourceOptions
from efnst.program.arguments import Failure, LabelsFile, Library, Outdir, QcRules, Sample
from efnst.program.cli import run
from efnst.quality.options import QualityOptions

if TYPE_CHECKING:
    from anndata import AnnData

    from efnst.quality.spots import Thresholds

log = logging.getLogger("efnst")
RULES = Path(__file__).resolve().parent.parent / "assets" / "qc_rules.yml"


def main(
    sample: Sample,
    source: Annotated[
        Path, typer.Option("--source", help="Space Ranger outs folder or its parent, .tar.gz, .h5ad or zarr.")
    ],
    image: Annotated[
        str, typer.Option("--image", help="Full-resolution image; `none` for no image; empty for that of the folder.")
    ] = "",
    labels: LabelsFile = "",
    bin_um: Annotated[str, typer.Option("--bin_um", help="Visium HD: bin size in µm, or `cells`; empty for 8.")] = "",
    library: Library = "",
    qc_rules: QcRules = RULES,
    outdir: Outdir = Path(),
    failure: Failure = None,
    options: SourceOptions = SourceOptions(),
    quality: QualityOptions = QualityOptions(),
) -> None:
    """Read one section, check that its files fit together, and leave out spots of poor quality.

    Bins of Visium HD, and cells, are summed into units, which take the place of spots from here on. Writes section.h5ad
    (raw counts of spots or units kept, all genes), section_qc.json and, of bins and cells, bins.h5ad (all in tissue).
    """
    import numpy as np

    from efnst.inputs.checksums import input_checksums
    from efnst.inputs.section import load_section
    from efnst.names import QC, SECTION
    from efnst.quality.rules import apply_rules, read_rules
    from efnst.quality.spots import Thresholds, idle_thresholds, keep_good_spots, qc_record
    from efnst.records.base import write_record
    from efnst.records.quality import SectionQc

    rules = read_rules(qc_rules, "section_qc")
    given = {"bin_um": bin_um, "expression_rep": options.expression_rep or "", "library": library}
    loaded, about, warnings = load_section(sample, source, image, labels, **given)
    loaded = _in_units(loaded, options.unit_um, outdir / "bins.h5ad")
    thresholds = Thresholds(**{field.name: getattr(quality, field.name) for field in fields(Thresholds)})
    warnings += idle_thresholds(loaded, thresholds)
    kept, lost, used = keep_good_spots(loaded, thresholds, quality.qc_mads)
    record = {"sample": sample} | about | qc_record(kept, lost, float(kept.uns[SECTION]["pitch_px"]))
    record |= {"qc_mads": quality.qc_mads, "inputs": input_checksums(source, image, labels, bin_um, library)}
    record |= {"thresholds": asdict(used), "asked": _asked(thresholds, options.unit_um, image)}
    record["qc_status"], record["qc_findings"] = apply_rules(rules, record)
    record["warnings"] = warnings + [finding["text"] for finding in record["qc_findings"]]
    stored = {name: value for name, value in record.items() if name not in ("metrics_summary", "qc_findings")}
    kept.uns[QC] = _known(stored) | {"warnings": np.array(record["warnings"], dtype=object)}
    kept.write_h5ad(outdir / "section.h5ad", compression="gzip", compression_opts=1)
    write_record(outdir / "section_qc.json", SectionQc(**record))
    _log(kept, record)


def _asked(thresholds: "Thresholds", unit_um: str, image: str) -> dict[str, object]:
    """What was asked for of what the section decides."""
    from efnst.names import NO_IMAGE

    return asdict(thresholds) | {"unit_um": unit_um, "use_image": image.lower() != NO_IMAGE}


def _known(record: dict) -> dict:
    """A record without what is None, which HDF5 cannot hold."""
    values = {name: _known(value) if isinstance(value, dict) else value for name, value in record.items()}
    return {name: value for name, value in values.items() if value is not None}


def _in_units(section: "AnnData", unit_um: str, path: Path) -> "AnnData":
    """The section by units; the bins or cells that were summed into these go into a file."""
    from efnst.inputs.pooling import pool

    pooled, bins = pool(section, unit_um)
    if bins is not None:
        bins.write_h5ad(path, compression="gzip", compression_opts=1)
    return pooled


def _log(section: "AnnData", record: dict) -> None:
    """Say what was odd, and what was read."""
    from efnst.names import SECTION

    for warning in record["warnings"]:
        log.warning("%s: %s", record["sample"], warning)
    facts = section.uns[SECTION]
    log.info(
        "%s: %d of %d spots in tissue kept, %d genes, %s grid, pitch %.1f px, %.4f µm per px, image %s",
        *(record["sample"], section.n_obs, record["n_spots_in_tissue"], section.n_vars, facts["grid"]),
        *(facts["pitch_px"], facts["um_per_px"], facts["image"]["source"]),
    )


if __name__ == "__main__":
    run(main)
