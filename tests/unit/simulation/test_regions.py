"""Grid and regions of the simulated tissue."""

import numpy as np
import pytest
from scipy.ndimage import label as connected
from scipy.spatial import cKDTree
from tests.support.simulated import touching

from efnst.errors import EfnstError
from efnst.simulation.regions import LAYOUTS, OUTSIDE, grid_for, hexagonal_grid, simulate_tissue


def test_grid_of_two_rows_by_hand() -> None:
    grid = hexagonal_grid(2, 3)
    assert grid.array_row.tolist() == [0, 0, 0, 1, 1, 1]
    assert grid.array_col.tolist() == [0, 2, 4, 1, 3, 5]
    height = 86.60254037844386  # 100 µm · √3 / 2
    expected = [[0, 0], [100, 0], [200, 0], [50, height], [150, height], [250, height]]
    np.testing.assert_allclose(grid.positions_um, expected)


def test_whole_array_has_the_numbers_of_10x() -> None:
    grid = hexagonal_grid(78, 64)
    assert len(grid.array_row) == 4992
    assert grid.array_row.max() == 77
    assert (grid.array_col.min(), grid.array_col.max()) == (0, 127)
    np.testing.assert_array_equal(grid.array_row % 2, grid.array_col % 2)


def test_every_inner_spot_has_six_neighbours_at_one_pitch() -> None:
    grid = hexagonal_grid(7, 7)
    tree = cKDTree(grid.positions_um)
    distance, _ = tree.query(grid.positions_um, k=7)
    inner = (
        (grid.array_row > 0) & (grid.array_row < 6) & (grid.array_col > 1) & (grid.array_col < grid.array_col.max() - 1)
    )
    assert inner.sum() == 25
    np.testing.assert_allclose(distance[inner, 1:], 100.0)


@pytest.mark.parametrize(
    ("n_spots", "n_places"), [(1800, (2700, 2900)), (4000, (4992, 4992)), (60_000, (92_000, 94_000))]
)
def test_grid_is_as_large_as_the_spots_need(n_spots: int, n_places: tuple[int, int]) -> None:
    assert n_places[0] <= len(grid_for(n_spots).array_row) <= n_places[1]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n_regions", [4, 5, 7, 9])
def test_regions_are_all_there_and_none_is_tiny(layout: str, n_regions: int) -> None:
    tissue = simulate_tissue(900, layout, n_regions, np.random.default_rng(n_regions))
    assert tissue.in_tissue.sum() == 900
    assert len(set(tissue.region_names)) == n_regions
    sizes = np.bincount(tissue.spot_region[tissue.in_tissue], minlength=n_regions)
    assert len(sizes) == n_regions
    assert sizes.min() >= 10


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tissue_is_one_piece_smaller_than_the_array(layout: str) -> None:
    tissue = simulate_tissue(900, layout, 5, np.random.default_rng(1))
    grid = tissue.grid
    corner = (grid.array_row % grid.array_row.max() == 0) & (
        np.abs(grid.array_col - grid.array_col.mean()) > grid.array_col.mean() - 2
    )
    assert not tissue.in_tissue[corner].any()
    _, n_pieces = connected(tissue.raster != OUTSIDE)
    assert n_pieces == 1


def test_mixed_tissue_has_a_hole() -> None:
    tissue = simulate_tissue(900, "mixed", 5, np.random.default_rng(1))
    _, n_outside = connected(tissue.raster == OUTSIDE)
    assert n_outside == 2


def test_spots_agree_with_the_raster() -> None:
    tissue = simulate_tissue(900, "nested", 4, np.random.default_rng(3))
    where = np.rint(tissue.on_raster(tissue.grid.positions_um)).astype(int)
    assert np.mean(tissue.raster[tuple(where)] == tissue.spot_region) > 0.98


def test_neighbouring_spots_mostly_share_their_region() -> None:
    tissue = simulate_tissue(900, "layers", 7, np.random.default_rng(3))
    positions, region = tissue.grid.positions_um[tissue.in_tissue], tissue.spot_region[tissue.in_tissue]
    pairs = cKDTree(positions).query_pairs(101, output_type="ndarray")
    assert np.mean(region[pairs[:, 0]] == region[pairs[:, 1]]) > 0.75


@pytest.mark.parametrize(("layout", "pair"), [("layers", (2, 3)), ("nested", (0, 1)), ("mixed", (1, 2))])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_pair_is_the_same_for_every_shape_large_and_side_by_side(
    layout: str, pair: tuple[int, int], seed: int
) -> None:
    tissue = simulate_tissue(900, layout, LAYOUTS[layout], np.random.default_rng(seed), with_pair=True)
    assert tissue.pair == pair
    region = tissue.spot_region[tissue.in_tissue]
    assert np.bincount(region)[list(pair)].min() > 0.15 * 900
    ends = np.sort(region[touching(tissue)], axis=1)
    assert np.sum(np.all(ends == pair, axis=1)) > 30


def test_layers_of_a_pair_are_the_largest_and_the_outline_stays() -> None:
    plain = simulate_tissue(900, "layers", 7, np.random.default_rng(3))
    paired = simulate_tissue(900, "layers", 7, np.random.default_rng(3), with_pair=True)
    assert plain.pair is None
    np.testing.assert_array_equal(plain.in_tissue, paired.in_tissue)
    sizes = np.bincount(paired.spot_region[paired.in_tissue])
    assert set(np.argsort(sizes)[-2:]) == {2, 3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((900, "stripes", 4), "layouts"),
        ((900, "layers", 2), "3 to 12 regions"),
        ((50, "layers", 7), "at least 140 spots"),
    ],
)
def test_impossible_tissues_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(EfnstError, match=message):
        simulate_tissue(*arguments, np.random.default_rng(0))
