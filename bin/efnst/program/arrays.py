"""Reading and writing the arrays that travel between steps, always checked against the section's barcodes."""

from pathlib import Path

import numpy as np

from efnst.errors import EfnstError, damaged, reading


def write_arrays(path: Path, barcodes: np.ndarray, **arrays: np.ndarray) -> None:
    """Write `barcodes` and the `arrays`, most of them [n_spots, ·], to an .npz file."""
    np.savez(path, barcodes=np.asarray(barcodes, dtype=np.str_), **arrays)


def read_arrays(path: Path, barcodes: np.ndarray) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file whose spots must be `barcodes`, in that order; nothing is unpickled."""
    with reading(path), np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if "barcodes" not in arrays:
        raise damaged(path, "it has no barcodes")
    found = arrays.pop("barcodes")
    if not np.array_equal(found, np.asarray(barcodes, dtype=np.str_)):
        raise EfnstError(
            f"Expected `{path.name}` to hold the {len(barcodes)} spots of this section in the section's order, found "
            f"{len(found)} spots that differ. Were the files of two sections mixed up?"
        )
    return arrays
