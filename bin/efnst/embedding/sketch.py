"""What large sections are learned from: tiles of tissue from all over, so that learning does not grow with them."""

import numpy as np

SKETCH_UNITS = 6_000  # of sections of more than `units.MANY_UNITS`
TILE_UNITS = 100  # a tile of 10 × 10: more tiles find more of what is rare, larger ones have fewer borders


def sketch(positions: np.ndarray) -> np.ndarray:
    """Sorted indices int of some `SKETCH_UNITS` of the units at `positions` float [n_units, 2]: whole tiles, evenly.

    The section is halved along its longer side until the parts are tiles, so that tissue of any shape is cut into tiles
    of as many units; of the tiles in that order, which keeps near what is near, every so many are taken. Nothing is
    drawn at random.
    """
    order = np.arange(len(positions))
    tiles = _halved(positions, order)
    wanted = max(1, SKETCH_UNITS * len(tiles) // len(positions))
    chosen = np.linspace(0, len(tiles), wanted, endpoint=False).astype(int)
    return np.sort(np.concatenate([tiles[number] for number in chosen]))


def _halved(positions: np.ndarray, members: np.ndarray) -> list[np.ndarray]:
    """The tiles of `members`, each of at most `TILE_UNITS`."""
    if len(members) <= TILE_UNITS:
        return [members]
    places = positions[members]
    axis = int(np.argmax(np.ptp(places, axis=0)))
    ordered = members[np.lexsort((places[:, 1 - axis], places[:, axis]))]
    half = len(ordered) // 2
    return _halved(positions, ordered[:half]) + _halved(positions, ordered[half:])
