"""A section as its files say, before anything is joined or compared; the same for all kinds of files."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from efnst.inputs.feature_matrix import Matrix
from efnst.inputs.positions import SCALE_FACTORS

CELLS = "cells"  # in the place of a bin size: segmented cells, which lie on no grid
PIXELS = ["pxl_col_in_fullres", "pxl_row_in_fullres"]  # columns of positions: x and y


@dataclass(frozen=True)
class Names:
    """What images and scale factors are called where a section comes from, for messages."""

    images: str = "tissue_hires_image.png or tissue_lowres_image.png"
    hires: str = "tissue_hires_image.png"
    factors: str = SCALE_FACTORS


@dataclass(frozen=True)
class Picture:
    """An image of the section itself that could be read: the file that it lies in by itself, and its size in px."""

    path: Path
    width: int
    height: int


@dataclass(frozen=True)
class Source:
    """What was read of a section.

    `positions` as `read_positions` gives them; `factors` are the scale factors, as far as there are any; `images` are
    the names within `path` of the images hires and lowres, `pictures` those that were looked at since, `askew` those
    that scaling alone does not bring over the spots; `bin_um` is 0 where spots lie on an array of Visium; `is_cells`:
    cells were asked for; `in_um`: positions are µm and no pixels; `is_filtered`: all barcodes of the matrix should be
    in tissue; `representations` [n_barcodes, ·] are features that were computed before, by name; `layout` says in words
    what was read.
    """

    path: Path
    matrix: Matrix
    is_filtered: bool
    positions: pd.DataFrame
    factors: dict[str, float]
    images: dict[str, str]
    layout: str
    pictures: dict[str, Picture] = field(default_factory=dict)
    askew: tuple[str, ...] = ()
    bin_um: int = 0
    is_on_array: bool = True
    is_cells: bool = False
    in_um: bool = False
    metrics: dict[str, float | str] | None = None
    representations: dict[str, np.ndarray] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    names: Names = Names()

    @property
    def xy(self) -> np.ndarray:
        """x and y of all positions, float64 [n, 2], full-resolution px."""
        return self.positions[PIXELS].to_numpy(float)
