"""The grid of the spots, and the scale that follows from it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.grids import hexagonal, square

from efnst.errors import EfnstError
from efnst.geometry.grid import Grid, check_spot_diameter, kind_of_line, measure_grid

GRID = Grid("hexagonal", 100.0, 1.0, 55.0)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["hexagonal", "square"]),
    st.floats(3, 900),
    st.floats(0, 2 * np.pi),
    st.floats(0, 0.06),
    st.integers(0, 2**31),
)
def test_grid_and_pitch_are_found_turned_jittered_and_with_holes(
    kind: str, pitch: float, turn: float, jitter: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    xy = (hexagonal if kind == "hexagonal" else square)(14, 12, pitch)
    xy = xy[rng.random(len(xy)) > 0.2] + 5000
    xy = xy @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    grid = measure_grid(xy + rng.normal(0, jitter * pitch, xy.shape))
    assert grid.grid == kind
    assert grid.pitch_px == pytest.approx(pitch, rel=0.03)


@pytest.mark.parametrize(("kind", "um_per_px", "spot_px"), [("hexagonal", 0.5, 110.0), ("square", 1.0, 100.0)])
def test_scale_of_visium_and_of_legacy_arrays(kind: str, um_per_px: float, spot_px: float) -> None:
    grid = measure_grid((hexagonal if kind == "hexagonal" else square)(8, 8, 200.0))
    assert (grid.grid, grid.pitch_px) == (kind, pytest.approx(200))
    assert grid.um_per_px == pytest.approx(um_per_px) and grid.spot_diameter_px == pytest.approx(spot_px)


@pytest.mark.parametrize("turn", [0.0, 0.3, np.pi / 2])
@pytest.mark.parametrize(("kind", "spot_px"), [("hexagonal", 130), ("hexagonal", 110), ("square", 100)])
def test_the_grid_of_a_single_row_is_that_of_its_array_or_of_its_spots(kind: str, spot_px: float, turn: float) -> None:
    """Neighbours on both sides are all that a row has; they repeat every 90 degrees as every 60."""
    xy = np.rint(square(1, 40, 200.0) @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    array = np.column_stack([np.full(40, 7), np.arange(40) * (2 if kind == "hexagonal" else 1)])
    for known in ((array, 0), (None, spot_px)):
        assert kind_of_line(xy, *known) == (kind, [])
        assert measure_grid(xy, kind=kind).grid == kind
    _, (warning,) = kind_of_line(xy, None, 0)
    assert "does not tell a hexagonal grid from a square one" in warning
    assert kind_of_line(hexagonal(2, 40, 200.0), None, 0) == ("", [])


def test_positions_that_make_no_grid() -> None:
    with pytest.raises(EfnstError, match=r"at least 3 positions .* found 2"):
        measure_grid(square(1, 2, 10))
    with pytest.raises(EfnstError, match=r"same pixel"):
        measure_grid(np.zeros((9, 2)))


@pytest.mark.parametrize("declared_px", [55.0, 65.0, 70.0])
def test_spot_diameters_of_real_sections_agree_with_the_pitch(declared_px: float) -> None:
    assert check_spot_diameter(GRID, declared_px) == []


@pytest.mark.parametrize("declared_px", [30.0, 130.0])
def test_a_spot_diameter_against_the_pitch_is_told_with_both_figures(declared_px: float) -> None:
    (warning,) = check_spot_diameter(GRID, declared_px)
    assert f"{declared_px:.1f} px means {65 / declared_px:.3f} µm per px" in warning
    assert "100.0 px apart" in warning and "1.000 µm per px" in warning
