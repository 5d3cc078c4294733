"""Outlines of domains: every spot has a cell of the plane, and the cells of a domain are joined, in linear time."""

from itertools import pairwise

import numpy as np
import shapely
from scipy.spatial import Voronoi, cKDTree

from efnst.geometry.array_fit import SQUARE
from efnst.geometry.grid import believed_array

PRESENT = 0.5  # pitches: a spot so near to a place of the grid stands on it
FINEST = 1000  # corners are rounded to a pitch over this, so that those of neighbouring cells are the same number
UNEVEN = 1e-4  # pitches, so that no four cells meet in one point: Voronoi diagrams of even grids take far longer
SMOOTHED = 0.1  # pitches: corners of the outline that stand out less are left out


def grid_turn(positions: np.ndarray, pitch: float, n_neighbours: int) -> float:
    """Angle towards one neighbour, radians, of a grid in which each spot has `n_neighbours` at equal angles."""
    pairs = cKDTree(positions).query_pairs(1.3 * pitch, output_type="ndarray")
    x, y = (positions[pairs[:, 1]] - positions[pairs[:, 0]]).T
    return float(np.angle(np.exp(1j * n_neighbours * np.arctan2(y, x)).sum()) / n_neighbours) if len(pairs) else 0.0


def missing_neighbours(positions: np.ndarray, pitch: float, grid: str) -> np.ndarray:
    """Places of the grid beside the spots where no spot is, float64 [n, 2]; near those of two spots there are two."""
    n_neighbours = 4 if grid == "square" else 6
    angles = grid_turn(positions, pitch, n_neighbours) + np.arange(n_neighbours) * 2 * np.pi / n_neighbours
    steps = pitch * np.column_stack([np.cos(angles), np.sin(angles)])
    places = (positions[:, None] + steps).reshape(-1, 2)
    distance, _ = cKDTree(positions).query(places, distance_upper_bound=PRESENT * pitch)
    return places[np.isinf(distance)]


def spot_cells(positions: np.ndarray, pitch: float, grid: str) -> np.ndarray:
    """The cell of each spot, shapely polygons [n_spots]: what lies nearer to it than to any other place of the grid.

    `positions` float64 [n_spots, 2], `pitch` and `grid` (hexagonal or square) are those of the section. Empty places
    beside the spots bound the cells, so that the tissue's edge and the holes in it are kept. Cells share their corners.
    """
    sites = np.vstack([positions, missing_neighbours(positions, pitch, grid)])
    diagram = Voronoi(sites + np.random.default_rng(0).uniform(-UNEVEN, UNEVEN, sites.shape) * pitch)
    corners = np.round(diagram.vertices * (FINEST / pitch)) * (pitch / FINEST)
    regions = [diagram.regions[index] for index in diagram.point_region[: len(positions)]]
    closed = np.concatenate([[*region, region[0]] for region in regions])
    rings = np.repeat(np.arange(len(regions)), [len(region) + 1 for region in regions])
    return shapely.polygons(shapely.linearrings(corners[closed], indices=rings))


def array_cells(positions: np.ndarray, array: np.ndarray, pitch: float) -> np.ndarray:
    """The square cell of each bin or unit, shapely polygons [n]; cells share their corners.

    `positions` float64 [n, 2], `array` int [n, 2] row and column; without an array at these places as `spot_cells`.
    """
    fit = believed_array(positions, array, pitch)
    if fit is None:
        return spot_cells(positions, pitch, SQUARE)
    row, column = np.asarray(array, float).T
    boxes = shapely.box(row - 0.5, column - 0.5, row + 0.5, column + 0.5)
    return shapely.transform(boxes, lambda corners: corners @ fit.steps + fit.origin)


def joined_cells(cells: np.ndarray, codes: np.ndarray, n_groups: int, pitch: float) -> np.ndarray:
    """The outline of each group of cells, [n_groups] polygons or multipolygons, with holes; empty for an empty group.

    `codes` int [n_spots] are the groups of the cells, -1 for none. Groups that touch share their border exactly.
    """
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(n_groups + 1))
    groups = [order[first:last] for first, last in pairwise(ends)]
    joined = np.full(n_groups, shapely.Polygon(), dtype=object)
    filled = [code for code, group in enumerate(groups) if len(group)]
    joined[filled] = [shapely.coverage_union_all(cells[groups[code]]) for code in filled]
    joined[filled] = shapely.coverage_simplify(joined[filled], SMOOTHED * pitch)
    return _valid(joined)


def scaled(outlines: np.ndarray, scale: float, pitch: float) -> np.ndarray:
    """`outlines` in px of an image with `scale` of its px per px of theirs, rounded to what `pitch` makes sense of."""
    decimals = max(0, int(np.ceil(np.log10(FINEST / (pitch * scale)))))
    return _valid(shapely.transform(outlines, lambda corners: np.round(corners * scale, decimals)))


def _valid(outlines: np.ndarray) -> np.ndarray:
    """`outlines` in which a ring that touches itself in a point is two rings, as the standard asks for."""
    return shapely.normalize(shapely.make_valid(outlines, method="structure", keep_collapsed=False))
