"""What a barcode says: a spot by its sequence, a bin of Visium HD by its size and place, a cell that it is one."""

import re
from collections.abc import Iterable
from pathlib import Path

from efnst.errors import EfnstError
from efnst.inputs.source import CELLS

# Prefixes, as of sections that were put together, stand in front.
SPOT_BARCODE = re.compile(r"(?<![A-Za-z0-9])[ACGT]{12,}(?![A-Za-z])")
CELL_BARCODE = re.compile(r"(?<![A-Za-z0-9])cellid_[0-9]+")
BIN_NAME = re.compile(r"(?:(?<![A-Za-z0-9])(?:s|unit)|square)_([0-9]{3})um")  # also of folders, tables and our own
BIN = r"(?<![A-Za-z0-9])(?:s|unit)_([0-9]{3})um_([0-9]{5})_([0-9]{5})(?![0-9])"  # width, row and column in a barcode
BIN_PLACE = BIN.replace("([0-9]{3})", "[0-9]{3}")  # row and column


def bin_size(bin_um: str, names: Iterable[str], path: Path) -> int:
    """The size of the bins asked for, or the one that a barcode or names of tables say; 0 for spots and cells."""
    names = [str(name) for name in names]
    said = next(filter(None, map(BIN_NAME.search, names)), None)
    own = int(said[1]) if said else 0
    asked = 0 if bin_um == CELLS else int(bin_um or own)
    spot = next(filter(SPOT_BARCODE.search, names), None) if bin_um else None
    cell = next(filter(CELL_BARCODE.search, names), None) if bin_um != CELLS and asked else None
    if spot or cell or own not in (0, asked):
        wanted = "cells" if bin_um == CELLS else f"bins of {asked} µm"
        others = f"the barcodes of spots ({spot})" if spot else f"the barcodes of cells ({cell})"
        found = others if spot or cell else f"bins of {own} µm ({said.string})"
        raise EfnstError(f"Expected {wanted}, found {found} in {path.name}: correct bin_um or leave it empty.")
    return asked


def are_cells(bin_um: str, barcode: object) -> bool:
    """Whether cells were asked for, or nothing was and a barcode says that it is of one."""
    return bin_um == CELLS or (not bin_um and bool(CELL_BARCODE.search(str(barcode))))
