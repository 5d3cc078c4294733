"""What large sections are learned from: tiles of tissue from all over, so that learning does not grow with them."""

from collections.abc import Sequence

import numpy as np

from efnst.geometry.units import MANY_UNITS

SKETCH_UNITS = 6_000  # of sections of more than `units.MANY_UNITS`
TILE_UNITS = 100  # a tile of 10 × 10: more tiles find more of what is rare, larger ones have fewer borders
LEAST_TILE, LEAST_TILES = 25, 4
APART = 10.0  # pitches between sections that lie side by side


def sketch(positions: np.ndarray, n_units: int = SKETCH_UNITS) -> np.ndarray:
    """Sorted indices int of some `n_units` of the units at `positions` float [n_all, 2]: whole tiles, evenly.

    The section is halved along its longer side until the parts are tiles, so that tissue of any shape is cut into tiles
    of as many units; of the tiles in that order, which keeps near what is near, every so many are taken. Nothing is
    drawn at random. Of few units the tiles are smaller, so that there are some.
    """
    order = np.arange(len(positions))
    tiles = _halved(positions, order, min(TILE_UNITS, max(LEAST_TILE, n_units // LEAST_TILES)))
    wanted = max(1, n_units * len(tiles) // len(positions))
    chosen = np.linspace(0, len(tiles), wanted, endpoint=False).astype(int)
    return np.sort(np.concatenate([tiles[number] for number in chosen]))


def enough(n_units: int) -> int:
    """How many units of a section with `n_units` are looked at to learn from it."""
    return n_units if n_units <= MANY_UNITS else SKETCH_UNITS


def quota(sizes: Sequence[int], n_units: int) -> int:
    """The most units that each section may give so that all together give at most `n_units`, as evenly as can be."""
    low, high = 1, max(sizes)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if sum(min(size, middle) for size in sizes) <= n_units else (low, middle - 1)
    return low


def some_of(positions: np.ndarray, n_units: int) -> np.ndarray:
    """Sorted indices of all units, or of whole tiles with about `n_units` of them where there are more."""
    return np.arange(len(positions)) if n_units >= len(positions) else sketch(positions, n_units)


def side_by_side(places: Sequence[np.ndarray]) -> np.ndarray:
    """Positions of several sections, in pitches [n, 2] each, moved so that these lie apart, [n_all, 2]."""
    width = max(float(np.ptp(positions, axis=0).max()) for positions in places) + APART
    return np.concatenate([each - each.min(0) + (width * number, 0) for number, each in enumerate(places)])


def sections_of(places: Sequence[np.ndarray]) -> np.ndarray:
    """The section of each of these units, from 0, int [n_all]."""
    return np.repeat(np.arange(len(places)), [len(each) for each in places])


def _halved(positions: np.ndarray, members: np.ndarray, size: int) -> list[np.ndarray]:
    """The tiles of `members`, each of at most `size`."""
    if len(members) <= size:
        return [members]
    places = positions[members]
    axis = int(np.argmax(np.ptp(places, axis=0)))
    ordered = members[np.lexsort((places[:, 1 - axis], places[:, axis]))]
    half = len(ordered) // 2
    return _halved(positions, ordered[:half], size) + _halved(positions, ordered[half:], size)
