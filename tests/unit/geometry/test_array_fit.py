"""The grid that the array declares, and the pitch of sections of which only a part is there."""

import numpy as np
import pytest
from tests.support.grids import hexagonal, square

from efnst.geometry.array_fit import fit_array
from efnst.geometry.grid import check_order, measure_grid

TURN = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])


def visium(n_rows: int, n_columns: int, pitch: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions of a hexagonal array, turned a little, and their array_row and array_col, numbered as on Visium."""
    row, column = np.indices((n_rows, n_columns)).reshape(2, -1)
    return hexagonal(n_rows, n_columns, pitch) @ TURN.T + 4000, np.column_stack([row, 2 * column + row % 2])


def bins(n_rows: int, n_columns: int, pitch: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions of bins, turned a little, and their array_row and array_col."""
    array = np.column_stack(np.indices((n_rows, n_columns)).reshape(2, -1))
    return square(n_rows, n_columns, pitch) @ TURN.T + 4000, array


def test_origin_steps_and_pitch_by_hand() -> None:
    xy = np.array([[10.0, 20], [10, 50], [40, 20], [40, 50]])  # a row is 30 px down, a column 30 px to the right
    fit = fit_array(xy, np.array([[0, 0], [1, 0], [0, 1], [1, 1]]))
    assert fit.grid == "square" and fit.pitch_px == pytest.approx(30) and fit.stray == pytest.approx(0, abs=1e-9)
    assert np.allclose(fit.origin, [10, 20]) and np.allclose(fit.steps, [[0, 30], [30, 0]])


def test_a_hexagonal_array_is_told_from_a_chessboard_of_bins() -> None:
    xy, array = visium(9, 9, 50)
    fit = fit_array(xy, array)
    assert fit.grid == "hexagonal" and fit.pitch_px == pytest.approx(50)
    assert fit_array(xy, array[:, ::-1]).grid == "hexagonal", "row and column exchanged"
    xy, array = bins(9, 9, 50)
    half = array.sum(axis=1) % 2 == 0
    assert fit_array(xy[half], array[half]).grid == "square"
    assert fit_array(xy[half], array[half]).pitch_px == pytest.approx(50)


def test_which_way_the_array_lies() -> None:
    xy, array = visium(9, 9, 50)
    ways = {"upright": xy, "turned": xy[:, ::-1] * [-1, 1], "mirrored": xy * [-1, 1], "exchanged": xy[:, ::-1]}
    fits = {way: fit_array(places, array) for way, places in ways.items()}
    assert [way for way, fit in fits.items() if fit.is_upright] == ["upright"]
    assert [way for way, fit in fits.items() if fit.is_mirrored] == ["mirrored", "exchanged"]


def test_spots_in_one_line_and_an_array_that_says_nothing() -> None:
    xy, array = bins(1, 9, 50)
    assert fit_array(xy, array) is None
    assert fit_array(xy, np.zeros_like(array)) is None


@pytest.mark.parametrize("part", ["every fifth row and column", "one in 25 at random", "every fifth bin"])
def test_the_pitch_of_a_part_of_the_bins(part: str) -> None:
    xy, array = bins(100, 102, 29.2)
    rng = np.random.default_rng(0)
    kept = {
        "every fifth row and column": (array % 5 == 0).all(axis=1),
        "one in 25 at random": rng.random(len(xy)) < 0.04,
        "every fifth bin": np.arange(len(xy)) % 5 == 0,
    }[part]
    xy, array = xy[kept], array[kept]
    grid = measure_grid(xy, 8, fit_array(xy, array, is_square=True))
    assert grid.grid == "square" and grid.um_per_px == pytest.approx(8 / 29.2)
    assert grid.spot_diameter_px == pytest.approx(29.2)
    assert measure_grid(xy, 8).um_per_px < 0.5 * 8 / 29.2, "neighbours alone mislead"
    without_array = measure_grid(xy, 8, um_per_px=8 / 29.2)
    assert without_array.um_per_px == pytest.approx(8 / 29.2), "the declared scale does without an array"


@pytest.mark.parametrize("share", [0.5, 0.15, 0.05])
def test_the_pitch_of_a_part_of_the_spots(share: float) -> None:
    xy, array = visium(60, 60, 138.0)
    kept = np.random.default_rng(1).random(len(xy)) < share
    xy, array = xy[kept], array[kept]
    grid = measure_grid(xy, fit=fit_array(xy, array))
    assert grid.grid == "hexagonal" and grid.um_per_px == pytest.approx(100 / 138)
    assert check_order(grid, xy) == []


def test_the_neighbours_stay_the_measure_where_the_array_agrees() -> None:
    xy, array = visium(20, 20, 138.0)
    xy += np.random.default_rng(2).normal(0, 1.0, xy.shape)
    assert measure_grid(xy, fit=fit_array(xy, array)) == measure_grid(xy)


def test_an_array_that_puts_the_spots_elsewhere_is_not_believed() -> None:
    xy, array = visium(20, 20, 138.0)
    for wrong in (np.random.default_rng(3).permutation(array), array // [1, 2]):
        assert measure_grid(xy, fit=fit_array(xy, wrong)) == measure_grid(xy)


def test_the_declared_scale_decides_between_array_and_neighbours() -> None:
    """Bins of 8 µm with the places of bins of 2 µm, as after joining them."""
    xy, array = bins(30, 30, 29.2)
    fit = fit_array(xy, 4 * array, is_square=True)
    assert measure_grid(xy, 8, fit).pitch_px == pytest.approx(29.2 / 4)
    assert measure_grid(xy, 8, fit, um_per_px=8 / 29.2).pitch_px == pytest.approx(29.2)
