"""Simulated Visium HD of any size, up to a whole slide: bins as sparse as real ones, and regions of known width."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from efnst.simulation.feature_matrix import write_blocks
from efnst.simulation.visium_hd import outlines

UM_PER_PX = 0.5
ROWS_AT_ONCE = 20  # rows of the array
DEPTH_SD = 0.4  # of the logarithm of what a bin is expected to hold
GENE_SD = 1.6  # of the logarithm of the genes' expression
RAISED_GENES, FOLD = 150, 3  # of each region
HIRES_PX, LOWRES_PX = 6000, 600


@dataclass(frozen=True)
class Slide:
    """What to simulate: a square of `side` × `side` bins `bin_um` wide with `counts` each on average, in `n_regions`.

    A region is made of patches of tissue `width_um` wide on average, with curved borders; 150 genes are expressed
    three times as much in it as elsewhere. With `cells`, each bin holds one cell, somewhere in it, instead.
    """

    side: int
    counts: float = 200
    width_um: float = 1000
    n_regions: int = 8
    n_genes: int = 18_000
    seed: int = 0
    bin_um: int = 8
    cells: bool = False


def regions_of(slide: Slide) -> np.ndarray:
    """The region of each bin, int [side, side]: Voronoi cells of random points, warped by smooth noise."""
    rng = np.random.default_rng(slide.seed)
    extent = slide.side * slide.bin_um
    n_cells = max(slide.n_regions, round((extent / slide.width_um) ** 2))
    points = rng.uniform(0, extent, (n_cells, 2))
    rounds = -(-n_cells // slide.n_regions)
    labels = np.concatenate([rng.permutation(slide.n_regions) for _ in range(rounds)])[:n_cells]
    middles = (np.indices((slide.side, slide.side)) + 0.5) * slide.bin_um
    width = slide.width_um / slide.bin_um / 4
    noise = [gaussian_filter(rng.standard_normal(middles[0].shape), width) for _ in range(2)]
    warped = [at + wave / wave.std() * slide.width_um / 10 for at, wave in zip(middles, noise, strict=True)]
    nearest = cKDTree(points).query(np.column_stack([at.ravel() for at in warped]))[1]
    return labels[nearest].reshape(slide.side, slide.side)


def write_slide(slide: Slide, folder: Path) -> None:
    """Write `folder`/outs as Space Ranger writes bins or cells, and `folder`/labels.csv, in blocks."""
    regions = regions_of(slide)
    barcodes, matrix = (_write_cells if slide.cells else _write_bins)(slide, folder / "outs")
    labels = pd.DataFrame({"barcode": barcodes, "label": [f"region_{region}" for region in regions.ravel()]})
    labels.to_csv(folder / "labels.csv", index=False)
    genes = np.array([f"GENE{number}" for number in range(slide.n_genes)])
    write_blocks(matrix, barcodes, genes, _blocks(slide, regions))


def _write_bins(slide: Slide, outs: Path) -> tuple[np.ndarray, Path]:
    """The places of the bins; their barcodes and the path of their counts."""
    part = outs / "binned_outputs" / f"square_{slide.bin_um:03d}um"
    (part / "spatial").mkdir(parents=True)
    row, column = np.indices((slide.side, slide.side)).reshape(2, -1)
    places = zip(row.tolist(), column.tolist(), strict=True)
    barcodes = np.array([f"s_{slide.bin_um:03d}um_{a:05d}_{b:05d}-1" for a, b in places])
    step = slide.bin_um / UM_PER_PX
    positions = {"barcode": barcodes, "in_tissue": 1, "array_row": row, "array_col": column}
    positions |= {"pxl_row_in_fullres": (row + 0.5) * step, "pxl_col_in_fullres": (column + 0.5) * step}
    pd.DataFrame(positions).to_parquet(part / "spatial" / "tissue_positions.parquet", index=False)
    _write_scales(slide, part, {"bin_size_um": slide.bin_um, "spot_diameter_fullres": step})
    return barcodes, part / "filtered_feature_bc_matrix.h5"


def _write_cells(slide: Slide, outs: Path) -> tuple[np.ndarray, Path]:
    """The outlines of the cells; their barcodes and the path of their counts."""
    part = outs / "segmented_outputs"
    (part / "spatial").mkdir(parents=True)
    places = np.indices((slide.side, slide.side)).reshape(2, -1)[::-1].T  # column before row
    within = np.random.default_rng([slide.seed, 2]).uniform(0, 1, places.shape)
    step = slide.bin_um / UM_PER_PX
    (part / "cell_segmentations.geojson").write_text(json.dumps(outlines((places + within) * step, step / 3)))
    _write_scales(slide, part, {})
    barcodes = np.array([f"cellid_{number:09d}-1" for number in range(1, len(places) + 1)])
    return barcodes, part / "filtered_feature_cell_matrix.h5"


def _write_scales(slide: Slide, part: Path, more: dict[str, float]) -> None:
    """scalefactors_json.json, with `more` for bins."""
    width_px = slide.side * slide.bin_um / UM_PER_PX
    scales = {"tissue_hires_scalef": HIRES_PX, "tissue_lowres_scalef": LOWRES_PX}
    factors = {name: px / width_px for name, px in scales.items()} | {"microns_per_pixel": UM_PER_PX} | more
    (part / "spatial" / "scalefactors_json.json").write_text(json.dumps(factors))


def _blocks(slide: Slide, regions: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For a few rows of the array at a time: genes seen in each bin, and of these the numbers and counts, by bin."""
    rng = np.random.default_rng([slide.seed, 1])
    profiles = np.tile(rng.lognormal(0, GENE_SD, slide.n_genes), (slide.n_regions, 1))
    for profile in profiles:
        profile[rng.choice(slide.n_genes, min(RAISED_GENES, slide.n_genes // slide.n_regions), replace=False)] *= FOLD
    edges = (profiles / profiles.sum(1, keepdims=True)).cumsum(1)
    edges[:, -1] = 1
    for start in range(0, slide.side, ROWS_AT_ONCE):
        region = regions[start : start + ROWS_AT_ONCE].ravel()
        totals = rng.poisson(slide.counts * rng.lognormal(-(DEPTH_SD**2) / 2, DEPTH_SD, len(region)))
        of_count, draws = np.repeat(region, totals), rng.random(totals.sum())
        genes = np.empty(len(draws), np.int64)
        for number, edge in enumerate(edges):
            here = of_count == number
            genes[here] = np.searchsorted(edge, draws[here], side="right")
        keys = np.repeat(np.arange(len(region)), totals) * slide.n_genes + genes
        found, counts = np.unique(keys, return_counts=True)
        yield np.bincount(found // slide.n_genes, minlength=len(region)), found % slide.n_genes, counts
