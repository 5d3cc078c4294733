"""What a barcode says: a spot of Visium by its sequence, a bin of Visium HD by its size and place; others nothing."""

import re
from collections.abc import Iterable
from pathlib import Path

from efnst.errors import EfnstError
from efnst.inputs.source import CELLS

# Prefixes, as of sections that were put together, stand in front.
SPOT_BARCODE = re.compile(r"(?<![A-Za-z0-9])[ACGT]{12,}(?![A-Za-z])")
BIN_NAME = re.compile(r"(?:(?<![A-Za-z0-9])(?:s|unit)|square)_([0-9]{3})um")  # also of folders, tables and our own
BIN_PLACE = r"(?<![A-Za-z0-9])(?:s|unit)_[0-9]{3}um_([0-9]{5})_([0-9]{5})(?![0-9])"  # row and column in a barcode


def bin_size(bin_um: str, names: Iterable[str], path: Path) -> int:
    """The size of the bins asked for, or the one that a barcode or names of tables say; 0 for spots and cells."""
    names = [str(name) for name in names]
    said = next(filter(None, map(BIN_NAME.search, names)), None)
    own = int(said[1]) if said else 0
    asked = 0 if bin_um == CELLS else int(bin_um or own)
    sequence = next(filter(SPOT_BARCODE.search, names), None) if bin_um else None
    if sequence or own not in (0, asked):
        wanted = "cells" if bin_um == CELLS else f"bins of {bin_um} µm"
        found = f"the barcodes of spots ({sequence})" if sequence else f"bins of {own} µm ({said.string})"
        raise EfnstError(f"Expected {wanted}, found {found} in {path.name}: correct bin_um or leave it empty.")
    return asked
