"""Reading and writing the arrays that travel between steps, always checked against the section's barcodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from efnst.errors import EfnstError, reading
from efnst.program.spreadsheets import harmless_table
from efnst.records.arrays import BARCODES, Arrays

if TYPE_CHECKING:
    import pandas as pd


def write_arrays(path: Path, kind: Arrays, barcodes: np.ndarray, **arrays: np.ndarray) -> None:
    """Write `barcodes` and the `arrays` of a file of this `kind`, most of them [n_spots, ·], to an .npz file."""
    members = {BARCODES.name: np.asarray(barcodes, dtype=np.str_)} | arrays
    kind.check(members, path.name)
    np.savez(path, **members)


def read_arrays(path: Path, kind: Arrays, barcodes: np.ndarray) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file whose spots must be `barcodes`, in that order."""
    arrays = stored_arrays(path, kind)
    found = arrays.pop(BARCODES.name)
    if not np.array_equal(found, np.asarray(barcodes, dtype=np.str_)):
        raise EfnstError(
            f"Expected `{path.name}` to hold the {len(barcodes)} spots of this section in the section's order, found "
            f"{len(found)} spots that differ. Were the files of two sections mixed up?"
        )
    return arrays


def stored_arrays(path: Path, kind: Arrays) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file, whatever its spots are; nothing is unpickled."""
    with reading(path), np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    kind.check(arrays, path.name)
    return arrays


def write_table(path: Path, kind: Arrays, table: pd.DataFrame, float_format: str | None = None) -> None:
    """Write a table of this `kind` as CSV, in which no text is a formula for a spreadsheet."""
    kind.check(dict(table.items()), path.name)
    harmless_table(table).to_csv(path, index=False, float_format=float_format)
