#!/usr/bin/env python3
"""Read one section from its Space Ranger folder."""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from efnst.program import run, write_json

log = logging.getLogger("efnst")


def main(
    sample: Annotated[str, typer.Option("--sample", help="Name of the section.")],
    section: Annotated[Path, typer.Option("--section", help="Space Ranger outs folder, or the folder that holds it.")],
    image: Annotated[
        str, typer.Option("--image", help="Full-resolution image; `none` for no image; empty for that of the folder.")
    ] = "",
    labels: Annotated[
        str, typer.Option("--labels", help="CSV with the columns barcode and label, for scores only.")
    ] = "",
    min_counts_per_spot: Annotated[
        int, typer.Option("--min_counts_per_spot", min=0, help="Leave out spots with fewer counts.")
    ] = 1,
    min_genes_per_spot: Annotated[
        int, typer.Option("--min_genes_per_spot", min=0, help="Leave out spots with fewer genes detected.")
    ] = 1,
    max_pct_mt: Annotated[
        float,
        typer.Option("--max_pct_mt", min=0, max=100, help="Leave out spots with a higher % of mitochondrial counts."),
    ] = 100.0,
    outdir: Annotated[Path, typer.Option("--outdir", help="Folder for section.h5ad and section_qc.json.")] = Path(),
    failure: Annotated[
        Path | None, typer.Option("--failure", help="Write what is wrong with the section to this file and exit 0.")
    ] = None,
) -> None:
    """Read one section, check that its files fit together, and leave out spots of poor quality.

    Looked at are counts, positions, scale factors, the image's size and labels.

    Writes section.h5ad (raw counts of the spots kept, all genes) and section_qc.json.
    """
    import numpy as np

    from efnst.checksums import input_checksums
    from efnst.constants import QC, SECTION
    from efnst.section import load_section
    from efnst.spot_qc import Thresholds, keep_good_spots, qc_record

    loaded, n_in_matrix, warnings = load_section(sample, section, image, labels)
    thresholds = Thresholds(min_counts_per_spot, min_genes_per_spot, max_pct_mt)
    kept, lost = keep_good_spots(loaded, thresholds)
    record = qc_record(kept, sample, n_in_matrix, lost, warnings) | {"thresholds": asdict(thresholds)}
    record["inputs"] = input_checksums(section, image, labels)
    kept.uns[QC] = record | {"warnings": np.array(warnings, dtype=object)}
    kept.write_h5ad(outdir / "section.h5ad", compression="gzip", compression_opts=1)
    write_json(outdir / "section_qc.json", record)
    for warning in warnings:
        log.warning("%s: %s", sample, warning)
    facts = kept.uns[SECTION]
    log.info(
        "%s: %d of %d spots in tissue kept, %d genes, %s grid, pitch %.1f px, %.4f µm per px, image %s",
        *(sample, kept.n_obs, record["n_spots_in_tissue"], kept.n_vars, facts["grid"]),
        *(facts["pitch_px"], facts["um_per_px"], facts["image"]["source"]),
    )


if __name__ == "__main__":
    run(main)
