"""Rasters of spots: every bin its own pixels, edges and holes kept, in time that half a million bins allow."""

import time

import numpy as np
import pytest

from efnst.geometry.raster import rasterise


def square(side: int, turned_deg: float = 0) -> np.ndarray:
    """A square grid of pitch 1, turned."""
    angle = np.deg2rad(turned_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.indices((side, side)).reshape(2, -1).T.astype(float) @ turn.T


def test_each_bin_of_an_upright_grid_has_the_same_square() -> None:
    xy = square(4)
    raster = rasterise(xy, 1.0, "square", (-0.5, -0.5, 3.5, 3.5), 13)  # room for 3.25 px a bin: 3 are taken
    assert raster.scale == 3
    expected = np.arange(16).reshape(4, 4).T.repeat(3, axis=0).repeat(3, axis=1)
    np.testing.assert_array_equal(raster.spot, expected)


@pytest.mark.parametrize("turned_deg", [7, 30, 44])
def test_squares_stay_square_when_turned(turned_deg: float) -> None:
    """A grid with a hole, cells 1.1 wide: their area, and the corner of a square that a disc would not reach."""
    xy = square(20, turned_deg)
    kept = np.delete(xy, 210, axis=0)
    low, high = xy.min() - 1.5, xy.max() + 1.5
    raster = rasterise(kept, 1.0, "square", (low, low, high, high), 1000)
    assert (raster.spot >= 0).sum() / raster.scale**2 == pytest.approx(20.1**2 - 0.9**2, rel=0.002)
    x, y = ((xy[210] - low) * raster.scale).astype(int)
    assert raster.spot[y, x] == -1
    angle = np.deg2rad(turned_deg)
    corner = xy[0] + 0.48 * (np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ [-1, -1])
    x, y = ((corner - low) * raster.scale).astype(int)
    assert raster.spot[y, x] == 0


def test_cells_end_where_the_next_begins() -> None:
    xy = np.array([[0.0, 0], [1, 0], [5, 5]])
    raster = rasterise(xy, 1.0, "irregular", (-1, -1, 6, 6), 700)
    assert raster.spot[100, 140] == 0 and raster.spot[100, 160] == 1
    assert (raster.spot == 2).sum() / raster.scale**2 == pytest.approx(np.pi * 0.8**2, rel=0.02)


@pytest.mark.slow
def test_half_a_million_bins_take_seconds() -> None:
    xy = square(710)[:500_000]
    started = time.perf_counter()
    raster = rasterise(xy, 1.0, "square", (-1.5, -1.5, 711, 711), 1000)
    assert time.perf_counter() - started < 20
    assert len(np.unique(raster.spot)) == 500_001
