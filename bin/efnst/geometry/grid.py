"""The grid that spots lie on: measured from their positions, and compared with what the files declare."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from efnst.errors import EfnstError
from efnst.geometry.array_fit import HEXAGONAL, SQUARE, ArrayFit, fit_array

IRREGULAR = "irregular"
PITCH_UM = {HEXAGONAL: 100.0, SQUARE: 200.0}  # Visium; legacy Spatial Transcriptomics
SPOT_UM = {HEXAGONAL: 55.0, SQUARE: 100.0}
# What spot_diameter_fullres stands for. On Visium that is a theoretical spot of 65 µm around the one of 55 µm: as the
# diameter of a 55 µm spot it would give a scale about a fifth off that of the pitch.
DECLARED_SPOT_UM = {HEXAGONAL: 65.0, SQUARE: 100.0}
# What the diameter of a spot may be in pitches, as declared and as it is, and how near that has to be.
DIAMETERS = [(kind, spot_um[kind] / PITCH_UM[kind]) for spot_um in (DECLARED_SPOT_UM, SPOT_UM) for kind in PITCH_UM]
NEAR_DIAMETER = 0.1
IN_LINE = 0.25  # pitches that the spots of one row lie off it at most
SCALE_TOLERANCE = 0.2
PITCH_TOLERANCE = 0.05
SAME_PITCH = 0.01  # so near the neighbours' pitch is taken, which needs no array
BELIEVED_STRAY = 0.2  # pitches: an array that puts half of the spots further off is not believed
MAX_STRAY = 0.5  # median distance from the place that the array gives a spot, in pitches
LEAST_ORDER = 0.5  # below it the directions to neighbours make no grid
LOOKED_AT = 20_000  # spots whose neighbours are measured; a bin of Visium HD has neighbours like any other
# Distance to the 6th nearest of irregularly placed points, times this, is the pitch of as dense a hexagonal grid.
PITCH_PER_SIXTH = float(np.sqrt(2 / np.sqrt(3) * np.pi / 6))


@dataclass(frozen=True)
class Grid:
    """The grid of the spots and the scale that follows from it."""

    grid: str
    pitch_px: float
    um_per_px: float
    spot_diameter_px: float


def measure_grid(
    xy: np.ndarray, bin_um: float = 0, fit: ArrayFit | None = None, um_per_px: float = 0, kind: str = ""
) -> Grid:
    """Grid and scale from positions float64 [n_spots, 2] in px; `bin_um`: pitch of square bins that fill the plane.

    `fit`: the grid that array_row and array_col declare (`fit_array`); `um_per_px`: the scale that the files declare.
    Where neighbours and array agree, the pitch is the median distance between neighbours, not that to each spot's
    nearest one, which would be too small where spots are not placed exactly. Otherwise the array is believed, as long
    as it puts the spots where they lie: neighbours are missing where only a part of the spots is given. The directions
    of neighbours, six or four at equal angles, tell the grid: the mean of exp(i·k·angle) has length 1 if they repeat
    every 360/k degrees and is near 0 otherwise. `kind`: the grid of spots in one line (`kind_of_line`), which repeat
    every 180 degrees.
    """
    pitch_px, six, four = _neighbourhood(xy)
    measured = _scaled(SQUARE if bin_um else kind or (HEXAGONAL if six >= four else SQUARE), pitch_px, bin_um)
    if fit is not None and fit.stray <= BELIEVED_STRAY:
        by_array = _scaled(fit.grid, fit.pitch_px, bin_um)
        return by_array if _goes_before(by_array, measured, um_per_px) else measured
    if bin_um and um_per_px and measured.um_per_px < um_per_px / (1 + PITCH_TOLERANCE):
        return _scaled(SQUARE, bin_um / um_per_px, bin_um)  # the bins lie further apart than they are wide
    return measured


def kind_of_line(xy: np.ndarray, array: np.ndarray | None, spot_px: float) -> tuple[str, list[str]]:
    """The grid of spots float64 [n_spots, 2] in one line, empty where they are not, and a warning where it is a guess.

    `array` int [n_spots, 2] is row and column where known: those of a hexagonal row lie two columns apart; `spot_px`
    the declared diameter of a spot, or 0.
    """
    pitch_px, six, four = _neighbourhood(xy)
    centred = xy - xy.mean(axis=0)
    across = np.linalg.svd(centred, full_matrices=False)[2][1]
    if np.abs(centred @ across).max() > IN_LINE * pitch_px:
        return "", []
    if array is not None and np.ptp(array[:, 0]) == 0 < np.ptp(array[:, 1]):
        return SQUARE if (np.diff(array[:, 1]) % 2).any() else HEXAGONAL, []
    kind, off = min(((kind, abs(spot_px / pitch_px - size)) for kind, size in DIAMETERS), key=lambda each: each[1])
    if off <= NEAR_DIAMETER:
        return kind, []
    kind = HEXAGONAL if six >= four else SQUARE
    return kind, [
        f"The spots lie in one line, which does not tell a hexagonal grid from a square one: a {kind} one was taken. "
        "array_row and array_col, or spot_diameter_fullres, would tell."
    ]


def _scaled(grid: str, pitch_px: float, bin_um: float) -> Grid:
    """The grid of a kind and pitch."""
    um_per_px = (bin_um or PITCH_UM[grid]) / pitch_px
    return Grid(grid, pitch_px, um_per_px, (bin_um or SPOT_UM[grid]) / um_per_px)


def _goes_before(by_array: Grid, measured: Grid, um_per_px: float) -> bool:
    """Whether the array makes another grid than the neighbours, and not one that `um_per_px` alone speaks against."""
    if by_array.grid == measured.grid and _agree(by_array.um_per_px, measured.um_per_px, SAME_PITCH):
        return False
    is_declared = [_agree(grid.um_per_px, um_per_px, SCALE_TOLERANCE) for grid in (by_array, measured) if um_per_px]
    return is_declared != [False, True]


def _agree(one: float, other: float, tolerance: float) -> bool:
    """Whether two scales are within `tolerance` of each other."""
    return abs(one / other - 1) <= tolerance


def irregular_grid(xy: np.ndarray, um_per_px: float) -> Grid:
    """Stand-in for a grid where cells lie on none: the pitch of a hexagonal grid as dense as they are."""
    tree = _tree(xy)
    sixth = tree.query(_some(xy), k=min(7, len(xy)))[0][:, -1]
    pitch_px = float(np.median(sixth)) * PITCH_PER_SIXTH
    return Grid(IRREGULAR, pitch_px, um_per_px, pitch_px)


def compare_with_array(grid: Grid, fit: ArrayFit) -> list[str]:
    """A warning where array_row and array_col put the spots elsewhere, or declare another grid than the one taken."""
    stray = fit.stray * fit.pitch_px / grid.pitch_px
    if stray > MAX_STRAY:
        return [
            f"Half of the spots lie more than {stray:.1f} pitches from where array_row and array_col put them: "
            "the positions may be mixed up."
        ]
    if fit.grid != grid.grid:
        return [
            f"array_row and array_col declare a {fit.grid} grid, but the spots lie {grid.pitch_px:.1f} px apart on a "
            f"{grid.grid} one: the latter is taken."
        ]
    if not _agree(fit.pitch_px, grid.pitch_px, PITCH_TOLERANCE):
        return [
            f"array_row and array_col declare a pitch of {fit.pitch_px:.1f} px, but the spots lie "
            f"{grid.pitch_px:.1f} px apart: the latter is taken."
        ]
    return []


def believed_array(xy: np.ndarray, array: np.ndarray, pitch_px: float) -> ArrayFit | None:
    """Where row and column, int [n, 2], put bins; None where that is not at their places float64 [n, 2] and pitch."""
    fit = fit_array(xy, array, is_square=True)
    is_believed = fit is not None and fit.stray <= BELIEVED_STRAY and _agree(fit.pitch_px, pitch_px, PITCH_TOLERANCE)
    return fit if is_believed else None


def check_order(grid: Grid, xy: np.ndarray) -> list[str]:
    """A warning where the pitch is that of the neighbours, and the directions to them make no grid."""
    pitch_px, six, four = _neighbourhood(xy)
    if max(six, four) >= LEAST_ORDER or pitch_px != grid.pitch_px:
        return []
    return [
        f"The spots lie on no regular grid (order {six:.2f} for a hexagonal, {four:.2f} for a square one, of 1): "
        "the scale in µm that follows from their distance is doubtful."
    ]


def check_spot_diameter(grid: Grid, declared_px: float, spot_um: float = 0) -> list[str]:
    """A warning where the declared spot diameter and the pitch give scales more than `SCALE_TOLERANCE` apart.

    `spot_um`: what the declared diameter stands for, if not the spot of the grid.
    """
    declared = (spot_um or DECLARED_SPOT_UM[grid.grid]) / declared_px
    if _agree(declared, grid.um_per_px, SCALE_TOLERANCE):
        return []
    return [
        f"spot_diameter_fullres {declared_px:.1f} px means {declared:.3f} µm per px, but the spots lie "
        f"{grid.pitch_px:.1f} px apart on a {grid.grid} grid, which means {grid.um_per_px:.3f} µm per px: "
        "the scale is taken from the latter."
    ]


def check_um_per_px(grid: Grid, declared: float, bin_um: int) -> list[str]:
    """A warning where microns_per_pixel and the pitch of spots or bins are more than `PITCH_TOLERANCE` apart."""
    if _agree(declared, grid.um_per_px, PITCH_TOLERANCE):
        return []
    measured = f"bins of {bin_um} µm lie {grid.pitch_px:.2f} px apart"
    if not bin_um:
        measured = f"the spots lie {grid.pitch_px:.2f} px apart on a {grid.grid} grid"
    return [
        f"microns_per_pixel is {declared:.4f}, but {measured}, which means {grid.um_per_px:.4f} µm per px: the latter "
        "is taken."
    ]


def n_isolated(xy: np.ndarray, pitch_px: float) -> int:
    """Number of spots, float64 [n_spots, 2], without any neighbour within one and a half pitches."""
    if len(xy) < 2:
        return len(xy)
    return int((cKDTree(xy).query(xy, k=2)[0][:, 1] > 1.5 * pitch_px).sum())


def _neighbourhood(xy: np.ndarray) -> tuple[float, float, float]:
    """Pitch in px and how well the directions to neighbours repeat every 60 and every 90 degrees, from 0 to 1."""
    tree, some = _tree(xy), _some(xy)
    nearest = float(np.median(tree.query(some, k=2)[0][:, 1]))
    if nearest == 0:
        raise EfnstError("Expected every spot at a place of its own, found most of them at the same pixel as another.")
    distance, index = tree.query(some, k=min(7, len(xy)), distance_upper_bound=1.3 * nearest)
    is_near = np.isfinite(distance) & (distance > 0)
    first, _ = np.nonzero(is_near)
    steps = xy[index[is_near]] - some[first]
    angle = np.arctan2(steps[:, 1], steps[:, 0])
    six, four = (float(abs(np.exp(1j * k * angle).mean())) for k in (6, 4))
    return float(np.median(distance[is_near])), six, four


def _tree(xy: np.ndarray) -> cKDTree:
    """The spots, of which there must be enough."""
    if len(xy) < 3:
        raise EfnstError(
            f"Expected at least 3 positions to measure the grid, found {len(xy)}: the file is not complete."
        )
    return cKDTree(xy)


def _some(xy: np.ndarray) -> np.ndarray:
    """At most `LOOKED_AT` of the spots, from all over."""
    return xy[:: -(-len(xy) // LOOKED_AT)]
