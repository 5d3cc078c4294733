"""Which spot each pixel of a picture shows, so that half a million bins draw as quickly as a thousand spots."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from efnst.geometry.outlines import grid_turn

# Reach of a spot's cell from its middle, in pitches. A square one reaches half a pitch along its own two axes, a
# hexagonal one 1/√3 to its corners; cells on no regular grid end where the next begins or, beside nothing, like a disc.
REACH = {"square": 0.55, "hexagonal": 0.6, "irregular": 0.8}


@dataclass(frozen=True)
class Raster:
    """The spot that each pixel shows, int32 [height, width], -1 for none; the pixel (0, 0) begins at `origin`."""

    spot: np.ndarray
    origin: tuple[float, float]
    scale: float  # pixels per unit of the positions


def rasterise(
    xy: np.ndarray, pitch: float, grid: str, window: tuple[float, float, float, float], longest_px: int
) -> Raster:
    """Draw the cells of the spots float64 [n_spots, 2] within `window` (x0, y0, x1, y1), in time linear in both.

    A pixel shows the spot that is nearest to its middle, as far as its cell reaches. Where there is room, the pixels
    divide the pitch evenly, so that all bins of an upright grid have the same size.
    """
    x0, y0, x1, y1 = window
    longest = max(x1 - x0, y1 - y0)
    per_pitch = pitch * longest_px / longest
    scale = (int(per_pitch) if per_pitch >= 1 else per_pitch) / pitch
    width, height = (max(1, int(np.ceil(extent * scale))) for extent in (x1 - x0, y1 - y0))
    row, column = np.indices((height, width)).reshape(2, -1)
    middles = (np.column_stack([column, row]) + 0.5) / scale + (x0, y0)
    turn, metric = _shape_of_cells(xy, pitch, grid)
    _, nearest = cKDTree(xy @ turn).query(middles @ turn, p=metric, distance_upper_bound=REACH[grid] * pitch)
    spot = np.where(nearest == len(xy), -1, nearest).astype(np.int32).reshape(height, width)
    return Raster(spot, (x0, y0), scale)


def _shape_of_cells(xy: np.ndarray, pitch: float, grid: str) -> tuple[np.ndarray, float]:
    """The turn [2, 2] after which a cell is a ball, and the order of the metric in which it is one."""
    if grid != "square":
        return np.eye(2), 2.0
    angle = grid_turn(xy, pitch, 4)  # along the axes of the grid
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]), np.inf
