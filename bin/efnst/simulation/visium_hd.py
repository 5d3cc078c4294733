"""Simulated sections as Space Ranger writes Visium HD: bins of several widths, and cells."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.spatial import cKDTree

from efnst.simulation.feature_matrix import FeatureBarcodeMatrix, write_matrix
from efnst.simulation.space_ranger import (
    CSV_FILE,
    LIST_FILE,
    POSITION_COLUMNS,
    SimulatedSection,
    scale_factors,
    write_section,
)

IMAGES = ("tissue_hires_image.png", "tissue_lowres_image.png")
HD_SCALES = ("tissue_hires_scalef", "tissue_lowres_scalef")
BIN_SHARE = 0.2  # part of a spot's counts that a bin at its place has


@dataclass(frozen=True)
class _Places:
    """A square grid over the spots of a section.

    `xy` float [n, 2] in px, `step` px apart; `column_row` int [n, 2]; `in_tissue` bool [n]; `nearest` int [n], of the
    spots in tissue the one that lies nearest.
    """

    xy: np.ndarray
    step: float
    column_row: np.ndarray
    in_tissue: np.ndarray
    nearest: np.ndarray


def write_visium_hd(
    section: SimulatedSection, folder: Path, n_bins: int, bin_um: int = 8, linked_images: bool = True, seed: int = 0
) -> None:
    """Write `folder`/outs as Space Ranger writes Visium HD, with about `n_bins` bins of `bin_um` and wider ones.

    The section is shrunk until that many bins cover its tissue; bins have the counts of the spot at their place,
    thinned.
    Also `segmented_outputs` with one cell for about four bins, and `folder`/labels.csv of the smaller bins.
    """
    write_section(section, folder)
    outs, rng = folder / "outs", np.random.default_rng(seed)
    places = _square_places(_spots_px(section), n_bins)
    um_per_px = bin_um / places.step
    of_spot = _counts_by_spot(section)
    counts = thinned(of_spot[places.nearest[places.in_tissue]], rng)
    for width in (1, 2):
        size = width * bin_um
        table, bins = _binned(places, width, size)
        summed = _summed(counts, bins[places.in_tissue], len(table))[table["in_tissue"].to_numpy() == 1]
        part = outs / "binned_outputs" / f"square_{size:03d}um"
        _write_part(part, outs, table, summed, section.matrix, linked_images)
        _write_hd_scales(section, part / "spatial", um_per_px, size)
        if width == 1:
            _write_labels(section, places, table["barcode"].to_numpy()[bins], folder / "labels.csv")
    _write_cells(section, outs, places, of_spot, rng)
    _write_hd_scales(section, outs / "segmented_outputs" / "spatial", um_per_px, None)
    _remove_spots(outs)


def _spots_px(section: SimulatedSection) -> np.ndarray:
    """The spots in tissue, float [n_spots, 2], x and y in px."""
    return section.pixels[section.specimen.tissue.in_tissue]


def _square_places(spots: np.ndarray, n_bins: int) -> _Places:
    """About `n_bins` places within the tissue of the spots [n_spots, 2], and those around it."""
    tree = cKDTree(spots)
    pitch = np.median(tree.query(spots, k=2)[0][:, 1])
    step = float(np.sqrt(len(spots) * np.sqrt(3) / 2 * pitch**2 / n_bins))
    low, high = spots.min(axis=0) - step, spots.max(axis=0) + step
    sides = np.ceil((high - low) / step).astype(int)
    column_row = np.column_stack([grid.ravel() for grid in np.meshgrid(*map(np.arange, sides))])
    xy = low + column_row * step
    distance, nearest = tree.query(xy)
    return _Places(xy, step, column_row, distance < 0.6 * pitch, nearest)


def _counts_by_spot(section: SimulatedSection) -> sparse.csr_matrix:
    """Counts [n_spots in tissue, in grid order, n_genes]."""
    order = np.argsort(np.argsort(section.barcodes[section.specimen.tissue.in_tissue]))
    return sparse.csr_matrix(section.matrix.counts.T)[order]


def _summed(counts: sparse.csr_matrix, bins: np.ndarray, n_bins: int) -> sparse.csr_matrix:
    """Counts [n, n_genes] summed by their bin [n]: [n_bins, n_genes]."""
    member = sparse.csr_matrix((np.ones(len(bins), np.int32), (bins, np.arange(len(bins)))), (n_bins, len(bins)))
    return member @ counts


def thinned(counts: sparse.csr_matrix, rng: np.random.Generator, kept: float = BIN_SHARE) -> sparse.csr_matrix:
    """Each count kept with the probability `kept`."""
    few = counts.copy()
    few.data = rng.binomial(few.data, kept).astype(np.int32)
    few.eliminate_zeros()
    return few


def _binned(places: _Places, width: int, size: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Positions of the bins, `width` × `width` places of together `size` µm each, and the bin of each place."""
    unique, bins = np.unique(places.column_row[:, ::-1] // width, axis=0, return_inverse=True)
    bins = bins.ravel()
    table = pd.DataFrame({"x": places.xy[:, 0], "y": places.xy[:, 1], "tissue": places.in_tissue.astype(int)})
    grouped = table.groupby(bins)
    centre, tissue = grouped[["x", "y"]].mean(), grouped["tissue"].max()
    barcodes = [f"s_{size:03d}um_{row:05d}_{column:05d}-1" for row, column in unique]
    columns = (barcodes, tissue.to_numpy(), unique[:, 0], unique[:, 1], centre["y"].to_numpy(), centre["x"].to_numpy())
    return pd.DataFrame(dict(zip(POSITION_COLUMNS, columns, strict=True))), bins


def _write_part(
    part: Path, outs: Path, table: pd.DataFrame, counts: sparse.csr_matrix, names: FeatureBarcodeMatrix, linked: bool
) -> None:
    """One folder of bins: counts, positions as parquet, and the images as links to those of outs/spatial."""
    (part / "spatial").mkdir(parents=True)
    barcodes = table["barcode"][table["in_tissue"] == 1].to_numpy(str)
    write_matrix(replace(names, counts=sparse.csc_matrix(counts.T), barcodes=barcodes), part, "h5")
    table.to_parquet(part / "spatial" / "tissue_positions.parquet", index=False)
    depth = len(part.relative_to(outs).parts) + 1
    for name in IMAGES:
        if linked:
            (part / "spatial" / name).symlink_to(Path(*[".."] * depth) / "spatial" / name)
        else:
            shutil.copy2(outs / "spatial" / name, part / "spatial" / name)


def _write_hd_scales(section: SimulatedSection, spatial: Path, um_per_px: float, size: int | None) -> None:
    """Scale factors as of Visium HD; cells have no `size`."""
    factors = {name: value for name, value in scale_factors(section).items() if name in HD_SCALES}
    factors["microns_per_pixel"] = um_per_px
    if size:
        factors |= {"bin_size_um": float(size), "spot_diameter_fullres": size / um_per_px}
    (spatial / "scalefactors_json.json").write_text(json.dumps(factors))


def _write_labels(section: SimulatedSection, places: _Places, barcodes: np.ndarray, path: Path) -> None:
    """The region of each place in tissue as the label of its bin; `barcodes` [n places] are those of the bins."""
    tissue = section.specimen.tissue
    regions = np.array(tissue.region_names)[tissue.spot_region[tissue.in_tissue]]
    labels = pd.DataFrame({"barcode": barcodes, "label": regions[places.nearest]})[places.in_tissue]
    labels.to_csv(path, index=False, lineterminator="\n")


def _write_cells(
    section: SimulatedSection, outs: Path, places: _Places, of_spot: sparse.csr_matrix, rng: np.random.Generator
) -> None:
    """segmented_outputs: cells scattered over the tissue, their outlines and counts."""
    xy, step = places.xy[places.in_tissue], places.step
    n_cells = len(xy) // 4
    centres = xy[rng.permutation(len(xy))[:n_cells]] + rng.uniform(-step / 2, step / 2, (n_cells, 2))
    counts = thinned(of_spot[cKDTree(_spots_px(section)).query(centres)[1]], rng)
    part = outs / "segmented_outputs"
    (part / "spatial").mkdir(parents=True)
    barcodes = np.array([f"cellid_{number:09d}-1" for number in range(1, n_cells + 1)])
    write_matrix(replace(section.matrix, counts=sparse.csc_matrix(counts.T), barcodes=barcodes), part, "h5")
    (part / "filtered_feature_bc_matrix.h5").rename(part / "filtered_feature_cell_matrix.h5")
    (part / "cell_segmentations.geojson").write_text(json.dumps(outlines(centres, step)))
    for name in IMAGES:
        shutil.copy2(outs / "spatial" / name, part / "spatial")


def outlines(centres: np.ndarray, radius: float) -> dict:
    """GeoJSON of hexagons around the centres [n, 2] of cells, as in cell_segmentations.geojson."""
    angle = np.linspace(0, 2 * np.pi, 7)
    ring = radius * np.column_stack([np.cos(angle), np.sin(angle)])
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [(centre + ring).round(3).tolist()]},
            "properties": {"cell_id": number},
        }
        for number, centre in enumerate(centres, start=1)
    ]
    return {"type": "FeatureCollection", "features": features}


def _remove_spots(outs: Path) -> None:
    """Remove what a folder of Visium HD has no longer: matrix, positions and scale factors of spots."""
    for name in (CSV_FILE, LIST_FILE, "scalefactors_json.json"):
        (outs / "spatial" / name).unlink(missing_ok=True)
    (outs / "filtered_feature_bc_matrix.h5").unlink()
