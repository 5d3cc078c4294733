"""The grid that array_row and array_col declare: a straight line through all spots, whichever of them are there.

Neighbours tell the pitch only where most of a spot's neighbours are there too. In a part of the spots, such as every
fifth bin or those that a filter left, the nearest one is several places away; the array knows how many.
"""

from dataclasses import dataclass

import numpy as np

HEXAGONAL, SQUARE = "hexagonal", "square"
# Area of the plane for one step of row and one of column over the squared pitch: on a hexagonal array neighbours in a
# row are 2 columns apart, rows √3/2 pitches.
AREA = {HEXAGONAL: np.sqrt(3) / 4, SQUARE: 1.0}
ALMOST_SQUARE = 3**0.25  # ratio of the steps: √3 on a hexagonal array, 1 on a square one


@dataclass(frozen=True)
class ArrayFit:
    """Where the array puts the spots: px = origin + row · steps[0] + column · steps[1].

    `steps` float64 [2, 2] and `origin` float64 [2] are x and y in px; `stray` is the median distance of the spots from
    there, in pitches.
    """

    grid: str
    pitch_px: float
    origin: np.ndarray
    steps: np.ndarray
    stray: float

    @property
    def is_mirrored(self) -> bool:
        """Whether the spots lie mirrored: on a slide seen from above, turned or not, it is not so."""
        return bool(np.linalg.det(self.steps) > 0)

    @property
    def is_upright(self) -> bool:
        """Whether rows run down and columns to the right, as on most images."""
        (row_x, row_y), (column_x, column_y) = self.steps
        return bool(row_y > abs(row_x) and column_x > abs(column_y))


def fit_array(xy: np.ndarray, array: np.ndarray, is_square: bool = False) -> ArrayFit | None:
    """The least-squares fit of positions float64 [n, 2] in px on array_row and array_col, [n, 2].

    `is_square`: the spots are bins. None where the spots stand in one line, or their places say nothing of the pixels.
    """
    design = np.column_stack([array, np.ones(len(array))]).astype(float)
    solution, _, rank, _ = np.linalg.lstsq(design, xy, rcond=None)
    steps, area = solution[:2], abs(np.linalg.det(solution[:2]))
    if rank < 3 or not area:
        return None
    grid = SQUARE if is_square else _kind(array, steps)
    pitch_px = float(np.sqrt(area / AREA[grid]))
    stray = float(np.median(np.hypot(*(xy - design @ solution).T))) / pitch_px
    return ArrayFit(grid, pitch_px, solution[2], steps, stray)


def _kind(array: np.ndarray, steps: np.ndarray) -> str:
    """Hexagonal where row + column is even (or odd) for all spots, as on Visium, and the steps are not of one length.

    Of a square array every second place alone, as on a chessboard, has the same parity.
    """
    parity = array.sum(axis=1) % 2
    if parity.min() != parity.max():
        return SQUARE
    rows, columns = np.hypot(*steps.T)
    return HEXAGONAL if max(rows, columns) > ALMOST_SQUARE * min(rows, columns) else SQUARE
