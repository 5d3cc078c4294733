#!/usr/bin/env python3
"""Seconds and peak memory of reading a section with quality control, for Visium and Visium HD. Prints a Markdown table.

    ./efnst python bench/read_section.py [--hd] [--folder /tmp/sections]

The sections are simulated with the sizes and the sparsity of real ones: Visium, 5,000 spots × 33,000 genes with some
5,000 genes a spot; with --hd also Visium HD, 500,000 bins of 8 µm × 18,000 genes with some 200 genes a bin, for which
1 GB of disk is needed. Every row is a process of its own, `read_section.py` from its start to section.h5ad; "CPU s" is
what a machine that does nothing else would take. `--folder` keeps the simulated sections for another time.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from programs import Figures, measured

from efnst.simulation.feature_matrix import write_blocks

ROWS_AT_ONCE = 5000


def write_counts(path: Path, barcodes: np.ndarray, n_genes: int, mean_counts: float, seed: int = 0) -> int:
    """A 10x HDF5 file with heavy-tailed genes and depths; returns the number of entries."""
    names = np.array([f"MT-{number}" if number < 13 else f"GENE{number}" for number in range(n_genes)])
    return write_blocks(path, barcodes, names, counts_of(len(barcodes), n_genes, mean_counts, seed), compression=4)


def counts_of(
    n_spots: int, n_genes: int, mean_counts: float, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The blocks of `write_counts`."""
    rng = np.random.default_rng(seed)
    rate = np.sort(rng.lognormal(0, 2.2, n_genes))[::-1].cumsum()
    order = rng.permutation(n_genes)
    for first in range(0, n_spots, ROWS_AT_ONCE):
        n_rows = min(ROWS_AT_ONCE, n_spots - first)
        depth = rng.poisson(mean_counts * rng.gamma(2, 0.5, n_rows))
        genes = order[np.searchsorted(rate, rng.random(depth.sum()) * rate[-1])]
        keys, counts = np.unique(np.repeat(np.arange(n_rows), depth) * n_genes + genes, return_counts=True)
        yield np.bincount(keys // n_genes, minlength=n_rows), keys % n_genes, counts


def write_positions(
    part: Path, barcodes: np.ndarray, array: np.ndarray, xy: np.ndarray, factors: dict, hd: bool
) -> None:
    """Positions, scale factors and a hires image of 2000 px."""
    (part / "spatial").mkdir(parents=True, exist_ok=True)
    columns = {"barcode": barcodes, "in_tissue": 1, "array_row": array[:, 0], "array_col": array[:, 1]}
    table = pd.DataFrame(columns | {"pxl_row_in_fullres": xy[:, 1], "pxl_col_in_fullres": xy[:, 0]})
    if hd:
        table.to_parquet(part / "spatial" / "tissue_positions.parquet", index=False)
    else:
        table.to_csv(part / "spatial" / "tissue_positions.csv", index=False)
    scale = 2000 / float(xy.max() * 1.05)
    (part / "spatial" / "scalefactors_json.json").write_text(json.dumps(factors | {"tissue_hires_scalef": scale}))
    Image.new("RGB", (2000, 2000), (220, 180, 200)).save(part / "spatial" / "tissue_hires_image.png")


def visium(outs: Path) -> str:
    """5,000 spots on a hexagonal grid."""
    row, column = np.divmod(np.arange(5000), 64)
    array = np.column_stack([row, 2 * column + row % 2])
    xy = np.column_stack([array[:, 1] * 50.0, row * 86.6]) * 2 + 200
    barcodes = np.array([f"SPOT{number:012d}-1" for number in range(5000)])
    write_positions(outs, barcodes, array, xy, {"spot_diameter_fullres": 130.0}, hd=False)
    n_entries = write_counts(outs / "filtered_feature_bc_matrix.h5", barcodes, 33_000, 18_000)
    return f"Visium, 5,000 × 33,000, {n_entries / 5000:,.0f} genes a spot"


def visium_hd(outs: Path) -> str:
    """500,000 bins of 8 µm."""
    row, column = np.divmod(np.arange(500_000), 708)
    part = outs / "binned_outputs" / "square_008um"
    xy = np.column_stack([column, row]) * 29.2 + 300
    barcodes = np.array([f"s_008um_{r:05d}_{c:05d}-1" for r, c in zip(row, column, strict=True)])
    factors = {"microns_per_pixel": 8 / 29.2, "bin_size_um": 8.0, "spot_diameter_fullres": 29.2}
    write_positions(part, barcodes, np.column_stack([row, column]), xy, factors, hd=True)
    n_entries = write_counts(part / "filtered_feature_bc_matrix.h5", barcodes, 18_000, 330)
    return f"Visium HD, 500,000 × 18,000, {n_entries / 500_000:,.0f} genes a bin"


def measure(outs: Path) -> Figures:
    """Figures of read_section.py."""
    with tempfile.TemporaryDirectory() as folder:
        return measured("read_section", "--sample", "S1", "--source", outs, "--outdir", folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hd", action="store_true")
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        print("| section | seconds | CPU s | memory, GB |\n|---|---|---|---|")
        for simulate in (visium, visium_hd)[: 1 + given.hd]:
            outs, label = folder / simulate.__name__ / "outs", folder / simulate.__name__ / "label.txt"
            if not label.exists():
                outs.mkdir(parents=True, exist_ok=True)
                label.write_text(simulate(outs))
            time.sleep(1)
            print(
                f"| {label.read_text()} | " + " | ".join(f"{value:.1f}" for value in measure(outs)) + " |", flush=True
            )


if __name__ == "__main__":
    main()
