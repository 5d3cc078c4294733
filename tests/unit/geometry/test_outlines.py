"""Cells and outlines: every spot has its share of the plane, neighbours share their border, holes stay holes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from scipy.spatial import cKDTree

from efnst.geometry.outlines import array_cells, joined_cells, missing_neighbours, scaled, spot_cells

PITCH = 100.0


def lattice(grid: str, rows: int = 12, columns: int = 15, turn: float = 0.3) -> np.ndarray:
    """Positions of a grid turned by `turn` radians."""
    row, column = np.mgrid[:rows, :columns].reshape(2, -1).astype(float)
    if grid == "hexagonal":
        column, row = column + (row % 2) / 2, row * np.sqrt(3) / 2
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return PITCH * np.column_stack([column, row]) @ rotation.T + 1000


def area_of(grid: str) -> float:
    """Area of one cell."""
    return PITCH**2 * (np.sqrt(3) / 2 if grid == "hexagonal" else 1)


@pytest.mark.parametrize("grid", ["hexagonal", "square"])
@pytest.mark.parametrize("unevenness", [0.0, 5.0])
def test_cells_have_the_area_of_the_grid_and_share_their_borders(grid: str, unevenness: float) -> None:
    positions = lattice(grid) + np.random.default_rng(0).normal(0, unevenness, (180, 2))
    cells = spot_cells(positions, PITCH, grid)
    assert shapely.is_valid(cells).all() and shapely.coverage_is_valid(cells)
    assert shapely.contains_xy(cells, positions[:, 0], positions[:, 1]).all()
    share = shapely.area(cells) / area_of(grid)
    assert share.mean() == pytest.approx(1, abs=0.005 + unevenness / 500)
    assert share.min() > 1 - 0.01 - unevenness / 10 and share.max() < 1.01 + unevenness / 10


@pytest.mark.parametrize("grid", ["hexagonal", "square"])
def test_a_missing_spot_is_a_hole(grid: str) -> None:
    positions = lattice(grid)
    (outline,) = joined_cells(spot_cells(np.delete(positions, 67, axis=0), PITCH, grid), np.zeros(179, int), 1, PITCH)
    assert outline.geom_type == "Polygon" and len(outline.interiors) == 1
    hole = shapely.Polygon(outline.interiors[0])
    assert hole.contains(shapely.Point(positions[67]))
    assert hole.area == pytest.approx(area_of(grid), rel=0.01)


def test_outlines_divide_the_plane_without_gap_or_overlap() -> None:
    positions = lattice("square", 40, 40, 0) + np.random.default_rng(1).normal(0, 3, (1600, 2))
    codes = np.random.default_rng(2).integers(-1, 4, 1600)  # as ragged as can be, with cells that touch in corners
    cells = spot_cells(positions, PITCH, "square")
    outlines = joined_cells(cells, codes, 5, PITCH)
    assert shapely.is_valid(outlines).all()
    assert outlines[4].is_empty
    sizes = np.bincount(codes[codes >= 0], minlength=4)
    np.testing.assert_allclose(shapely.area(outlines)[:4] / area_of("square"), sizes, rtol=0.02)
    assert shapely.area(shapely.union_all(outlines)) == pytest.approx(shapely.area(outlines).sum(), rel=1e-9)
    for code in range(4):
        inside = shapely.contains_xy(outlines[code], positions[:, 0], positions[:, 1])
        assert (inside == (codes == code)).all()


def test_scaled_outlines_are_valid_and_short() -> None:
    codes = np.arange(180) % 2
    outlines = joined_cells(spot_cells(lattice("hexagonal"), PITCH, "hexagonal"), codes, 2, PITCH)
    small = scaled(outlines, 0.05, PITCH)
    assert shapely.is_valid(small).all()
    np.testing.assert_allclose(shapely.area(small), shapely.area(outlines) * 0.05**2, rtol=1e-3)
    assert (shapely.get_coordinates(small).round(3) == shapely.get_coordinates(small)).all()


@pytest.mark.parametrize("n_spots", [1, 2, 5])
def test_few_spots(n_spots: int) -> None:
    positions = lattice("hexagonal")[:n_spots]
    cells = spot_cells(positions, PITCH, "hexagonal")
    np.testing.assert_allclose(shapely.area(cells), area_of("hexagonal"), rtol=0.01)


def test_no_place_inside_a_full_grid_is_missing() -> None:
    positions = lattice("hexagonal")
    missing = missing_neighbours(positions, PITCH, "hexagonal")
    inner = positions[np.argsort(np.hypot(*(positions - positions.mean(0)).T))[:40]]
    distance = np.hypot(*(missing[:, None] - inner).transpose(2, 0, 1))
    assert len(missing) and distance.min() > PITCH / 2


@pytest.mark.parametrize(("name", "grid"), [("dlpfc_151673", "hexagonal"), ("her2st_A1", "square")])
def test_cells_of_real_sections(real_section: Callable[[str], Path], name: str, grid: str) -> None:
    table = pd.read_csv(real_section(name) / "spatial" / "tissue_positions_list.csv", header=None)
    positions = table[table[1] == 1][[5, 4]].to_numpy(float)
    pitch = pitch_of(positions)
    cells = spot_cells(positions, pitch, grid)
    assert shapely.is_valid(cells).all() and shapely.coverage_is_valid(cells)
    share = shapely.area(cells) / (area_of(grid) * (pitch / PITCH) ** 2)
    assert np.median(share) == pytest.approx(1, abs=0.05) and share.min() > 0.7 and share.max() < 1.4
    codes = (positions[:, 0] > np.median(positions[:, 0])).astype(int)
    outlines = scaled(joined_cells(cells, codes, 2, pitch), 0.05, pitch)
    assert shapely.is_valid(outlines).all()
    np.testing.assert_allclose(shapely.area(outlines).sum(), shapely.area(cells).sum() * 0.05**2, rtol=0.01)


def pitch_of(positions: np.ndarray) -> float:
    """Median distance between neighbours; that to the nearest one would be too small on an uneven grid."""
    tree = cKDTree(positions)
    nearest = np.median(tree.query(positions, 2)[0][:, 1])
    first, second = tree.query_pairs(1.3 * nearest, output_type="ndarray").T
    return float(np.median(np.hypot(*(positions[first] - positions[second]).T)))


@pytest.mark.parametrize("way", ["none", "finer", "permuted"])
def test_cells_of_bins_without_a_sound_array_are_those_of_their_positions(way: str) -> None:
    positions = lattice("square")
    array = np.mgrid[:12, :15].reshape(2, -1).T
    wrong = {
        "none": np.full_like(array, -1),
        "finer": array * 4,
        "permuted": np.random.default_rng(0).permutation(array),
    }
    cells = array_cells(positions, wrong[way], PITCH)
    expected = array_cells(positions, array, PITCH)
    assert shapely.area(cells) == pytest.approx(shapely.area(expected), rel=0.01)
    assert shapely.contains_xy(cells, *positions.T).all()
