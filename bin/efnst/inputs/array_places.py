"""Positions that are places on the array, as tutorials write them, where pixels should stand."""

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from efnst.errors import EfnstError
from efnst.geometry.array_fit import HEXAGONAL, SQUARE
from efnst.geometry.grid import PITCH_UM
from efnst.inputs.source import PIXELS, Source
from efnst.names import NO_IMAGE


def in_pixels(source: Source, image: str) -> Source:
    """The section with positions in px; those that are rows and columns become µm, where no image has to fit them."""
    xy = source.xy
    array = source.positions[["array_col", "array_row"]].to_numpy(float)
    is_known = source.is_on_array and any(np.array_equal(xy, places) for places in (array, array[:, ::-1]))
    if not is_known and not _are_places(xy):
        return source
    grid = HEXAGONAL if np.ptp(xy.sum(axis=1) % 2) == 0 else SQUARE
    if image.lower() != NO_IMAGE or (grid == HEXAGONAL and not is_known):
        todo = "with image: none and the columns array_row and array_col in obs the places will do"
        raise EfnstError(
            f"Expected positions in full-resolution px in {source.path.name}, found places on the array (whole numbers "
            f"from {xy.min():.0f} to {xy.max():.0f}), which no image fits: give the pixels, or {todo}."
        )
    pitch_um = source.bin_um or PITCH_UM[grid]
    step = np.array([pitch_um / 2, pitch_um * np.sqrt(3) / 2]) if grid == HEXAGONAL else pitch_um
    positions = source.positions.copy()
    positions[PIXELS] = (array if is_known else xy) * step
    said = "The positions are places on the array and no pixels: they were taken as such, one µm for each px."
    return replace(source, positions=positions, factors={}, in_um=True, warnings=(*source.warnings, said))


def _are_places(xy: np.ndarray) -> bool:
    """Whether positions float64 [n, 2] are rows and columns: whole numbers as near to each other as on an array.

    On a hexagonal array row + column is even for all spots, or odd, and neighbours are √2 apart.
    """
    if len(xy) < 3 or (xy != np.rint(xy)).any():
        return False
    nearest = float(np.median(cKDTree(xy).query(xy, k=2)[0][:, 1]))
    is_hexagonal = np.ptp(xy.sum(axis=1) % 2) == 0
    return 0 < nearest < (1.5 if is_hexagonal else 1.1)
