"""What large sections are learned from."""

import numpy as np

from efnst.embedding.sketch import SKETCH_UNITS, TILE_UNITS, quota, side_by_side, sketch, some_of
from efnst.geometry.neighbours import nearest_neighbours


def places(side: int) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2).astype(float)


def test_tiles_from_all_over() -> None:
    positions = places(300)
    chosen = sketch(positions)
    assert 0.9 * SKETCH_UNITS < len(chosen) <= 1.1 * SKETCH_UNITS and len(np.unique(chosen)) == len(chosen)
    by_quarter = np.bincount((positions[chosen] // 100).astype(int) @ (3, 1), minlength=9)
    assert by_quarter.min() > 0.7 * by_quarter.mean()


def test_tiles_are_whole() -> None:
    positions = places(300)
    chosen = sketch(positions)
    near = nearest_neighbours(positions, 4)[chosen]
    share = np.isin(near, chosen).mean()
    assert share > 1 - 4.5 / np.sqrt(TILE_UNITS / 2), "only the borders of tiles lack neighbours"


def test_order_of_units_does_not_matter() -> None:
    positions = places(150)
    order = np.random.default_rng(0).permutation(len(positions))
    shuffled = {tuple(place) for place in positions[order][sketch(positions[order])]}
    assert shuffled == {tuple(place) for place in positions[sketch(positions)]}


def test_sections_give_as_many_units_as_there_is_room_for() -> None:
    assert quota([100, 300, 5000], 1000) == 600  # 100 + 300 + 600
    assert quota([100, 300, 500], 1000) == 500  # all of them


def test_few_units_are_taken_from_all_over() -> None:
    positions = places(40)
    chosen = some_of(positions, 120)
    assert 90 <= len(chosen) <= 150
    assert len(np.unique((positions[chosen] // 20).astype(int) @ (2, 1))) == 4
    assert len(some_of(positions, 5000)) == 1600


def test_sections_side_by_side_lie_apart() -> None:
    together = side_by_side([places(20) - 300, places(5)])
    assert np.linalg.norm(together[:400, None] - together[None, 400:], axis=2).min() >= 10
    assert np.allclose(np.diff(together[:400], axis=0), np.diff(places(20), axis=0))
