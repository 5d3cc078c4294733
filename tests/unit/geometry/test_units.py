"""How wide the units of bins and cells become, and which bins they hold."""

import numpy as np
import pytest

from efnst.errors import EfnstError
from efnst.geometry.units import ENOUGH_COUNTS, choose_units, reason, widths


def bins(side: int, bin_um: float = 8.0) -> np.ndarray:
    """First corners of a square of bins, in µm."""
    row, column = np.indices((side, side)).reshape(2, -1)
    return np.column_stack([row, column]) * bin_um


@pytest.mark.parametrize(("counts", "expected"), [(400, 16), (160, 16), (149, 24), (70, 24), (40, 32), (1, 64)])
def test_the_narrowest_with_enough_counts(counts: int, expected: int) -> None:
    units = choose_units(bins(64), np.full(64**2, counts), 8)
    assert units.unit_um == expected
    assert ("fewer" in reason(units, "auto")) == (units.median_counts < ENOUGH_COUNTS)


def test_units_begin_where_the_array_does() -> None:
    corners = bins(6)[7:]  # the first bins are not in tissue
    units = choose_units(corners, np.ones(len(corners)), 8, "16")
    assert units.place.tolist() == [[row, column] for row in range(3) for column in range(3)]
    assert np.bincount(units.of_bin).tolist() == [1, 2, 2, 4, 4, 4, 4, 4, 4]
    inside = np.abs(units.bins - units.place[units.of_bin]).max(1)
    np.testing.assert_allclose(inside, 0.25)


def test_widths_are_multiples_of_the_bins() -> None:
    assert widths(8) == [16, 24, 32, 40, 48, 56, 64] and widths(16) == [16, 32, 48, 64]
    assert widths(2)[:2] == [16, 18] and widths(100) == [100] and widths(0)[0] == 16


@pytest.mark.parametrize("wanted", ["20", "4", "0", "wide", "1e9"])
def test_a_width_that_is_none_is_refused(wanted: str) -> None:
    with pytest.raises(EfnstError, match="unit_um"):
        choose_units(bins(4), np.ones(16), 8, wanted)


def test_cells_lie_anywhere() -> None:
    places = np.random.default_rng(0).uniform(-50, 200, (500, 2))
    units = choose_units(places, np.full(500, 100), 0, "20")
    np.testing.assert_array_equal(np.floor(places / 20), units.place[units.of_bin])
    assert np.abs(units.bins - units.place[units.of_bin]).max() <= 0.5
