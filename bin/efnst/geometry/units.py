"""Analysis units: bins of Visium HD, or cells, put together into squares of tissue that hold enough counts."""

from dataclasses import dataclass

import numpy as np

from efnst.errors import EfnstError

AUTO = "auto"
ENOUGH_COUNTS = 600  # median counts of a unit below which domains are found less and less well (docs/method.md)
LEAST_UM, MOST_UM = 16, 64  # of the widths tried
MANY_UNITS = 15_000  # of more, part is learned from; Visium has at most 14,336 spots
STEP_UM = 8  # between the widths tried for cells, which have no bins


@dataclass(frozen=True)
class Units:
    """Squares of tissue `unit_um` wide.

    `place` int [n_units, 2] is row and column on the lattice of the units, by rows; `of_bin` int [n_bins] the unit of
    each bin; `bins` float [n_bins, 2] the bins' centres in steps of that lattice, a unit's centre being its `place`;
    half of the units have `median_counts` or more.
    """

    unit_um: float
    place: np.ndarray
    of_bin: np.ndarray
    bins: np.ndarray
    median_counts: float


def choose_units(corners_um: np.ndarray, totals: np.ndarray, bin_um: float, wanted: str = AUTO) -> Units:
    """Units of the bins whose first corners, or of the cells whose centres, are `corners_um` float [n_bins, 2].

    These are in µm from any origin, row (y) before column (x). `totals` [n_bins] are the counts, `bin_um` the width of
    the bins, 0 for cells. `wanted` is a width in µm, a multiple of that of the bins, or `auto`: the smallest from 16 to
    64 µm whose median unit has `ENOUGH_COUNTS`, else the largest.
    """
    for width in widths(bin_um) if wanted == AUTO else [_width(wanted, bin_um)]:
        units = _units(corners_um, totals, bin_um, width)
        if units.median_counts >= ENOUGH_COUNTS:
            break
    return units


def reason(units: Units, wanted: str) -> str:
    """Why the units are as wide as they are, in words."""
    if wanted != AUTO:
        return "as asked for"
    if units.median_counts >= ENOUGH_COUNTS:
        return f"the narrowest with {ENOUGH_COUNTS} or more counts in half of the units"
    return f"the widest tried, though half of the units have fewer than {ENOUGH_COUNTS} counts"


def widths(bin_um: float) -> list[float]:
    """The widths tried, in µm and rising."""
    step = bin_um or STEP_UM
    tried = [step * n for n in range(1, int(MOST_UM // step) + 1) if step * n >= LEAST_UM]
    return tried or [bin_um]


def _width(wanted: str, bin_um: float) -> float:
    """A width that was asked for, as a number."""
    try:
        width = float(wanted)
    except ValueError:
        width = 0.0
    if not 0 < width < 10_000:
        raise EfnstError(f"Expected unit_um to be auto or a width in µm, found `{wanted}`.")
    if bin_um and (width < bin_um or width % bin_um):
        raise EfnstError(
            f"Expected unit_um to be a multiple of the bins of {bin_um:g} µm, found {width:g}: give "
            f"{bin_um * max(round(width / bin_um), 1):g} or auto."
        )
    return width


def _units(corners_um: np.ndarray, totals: np.ndarray, bin_um: float, width: float) -> Units:
    """Units of one width; they begin where the array does, so that those of 16 µm are Space Ranger's bins of 16 µm."""
    square = np.floor(corners_um / width + 1e-6).astype(np.int64)
    low = square.min(0)
    columns = int(square[:, 1].max() - low[1]) + 1
    keys, of_bin = np.unique((square - low) @ (columns, 1), return_inverse=True)
    place = np.column_stack([keys // columns, keys % columns]) + low
    median = float(np.median(np.bincount(of_bin, totals)))
    return Units(width, place, of_bin.astype(np.int32), (corners_um + bin_um / 2) / width - 0.5, median)
