"""Bins of Visium HD that are too many to be held one by one: summed into bins of 8 µm as they are read.

A slide has 11 million bins of 2 µm. Their barcodes alone would take GB as text; here they are read as numbers, and the
counts block by block.
"""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from scipy.sparse import csr_array, csr_matrix

from efnst.errors import EfnstError, damaged, reading
from efnst.inputs.feature_matrix import MAX_SPOTS, Matrix, as_counts, genes_among, h5_features, named_matrix
from efnst.inputs.hdf5 import column, member, opened
from efnst.inputs.positions import POSITION_COLUMNS
from efnst.inputs.source import PIXELS
from efnst.inputs.space_ranger import DEFAULT_BIN_UM, Files

MANY_BINS = 3_000_000  # a quarter of a slide; up to here each bin of 2 µm is kept
BINS_AT_ONCE = 500_000
NAME = b"s_000um_00000_00000-1"  # of a bin: its width, row and column
DIGITS = np.frombuffer(NAME, np.uint8) == ord("0")
ROW, COLUMN = slice(8, 13), slice(14, 19)


def are_too_many(files: Files) -> bool:
    """Whether a folder holds so many bins narrower than 8 µm that they are summed as they are read."""
    is_fine = 0 < files.bin_um < DEFAULT_BIN_UM and DEFAULT_BIN_UM % files.bin_um == 0
    if not is_fine or files.positions.suffix != ".parquet" or files.matrix.suffix != ".h5":
        return False
    return _n_rows(files.positions) > MANY_BINS


def read_summed(files: Files, with_counts: bool) -> tuple[Matrix, pd.DataFrame]:
    """Counts and positions by squares of 8 µm, in the form of `read_matrix` and `read_positions`.

    A square is in tissue where one of its bins is, and lies at the mean of their places. Its barcode is the one that
    Space Ranger gives its bin of 8 µm.
    """
    across = DEFAULT_BIN_UM // files.bin_um
    positions = _summed_positions(files.positions, across)
    with opened(files.matrix) as file:
        features = h5_features(file, files.matrix)
        is_gene = genes_among(features, files.matrix)
        squares = _places(column(file["matrix"], "barcodes"), files) // across
        keys, of_bin = np.unique(squares @ (MAX_SPOTS, 1), return_inverse=True)
        counts = csr_matrix((len(keys), len(features)), dtype=np.int32)
        if with_counts:
            counts = _summed_counts(file["matrix"], files.matrix, of_bin.astype(np.int32), counts.shape)
    counts = counts if is_gene.all() else counts[:, np.flatnonzero(is_gene)]
    barcodes = _names(keys // MAX_SPOTS, keys % MAX_SPOTS)
    return named_matrix(files.matrix, barcodes, features[is_gene], counts, with_counts), positions


def in_words(files: Files) -> str:
    """What was done, for a warning."""
    return (
        f"The {_n_rows(files.positions)} bins of {files.bin_um} µm were summed into bins of {DEFAULT_BIN_UM} µm as "
        "they were read; domains are given for these."
    )


def summed_scales(factors: dict[str, float], bin_um: int) -> dict[str, float]:
    """The scale factors of bins of `bin_um`, as those of the bins that they were summed into."""
    wider = {"bin_size_um": DEFAULT_BIN_UM}
    if "spot_diameter_fullres" in factors:
        wider["spot_diameter_fullres"] = factors["spot_diameter_fullres"] * DEFAULT_BIN_UM / bin_um
    return factors | wider


def _n_rows(path: Path) -> int:
    """The rows that a table of positions claims."""
    from pyarrow import ArrowException
    from pyarrow.parquet import read_metadata

    with reading(path, ArrowException):
        return read_metadata(path).num_rows


def _summed_positions(path: Path, across: int) -> pd.DataFrame:
    """The positions of squares of `across` × `across` bins, by their barcodes."""
    array, in_tissue, pixels = _read_places(path)
    squares = array // across
    columns = int(squares[:, 1].max()) + 1
    of_bin = squares @ (columns, 1)
    size = np.bincount(of_bin)
    found = np.flatnonzero(size)
    mean = {name: np.bincount(of_bin, pixels[:, at])[found] / size[found] for at, name in enumerate(PIXELS)}
    row, col = found // columns, found % columns
    is_in = np.bincount(of_bin, in_tissue)[found] > 0
    table = {"in_tissue": is_in.astype(np.int64), "array_row": row, "array_col": col} | mean
    return pd.DataFrame(table, index=pd.Index(_names(row, col), name="barcode"))[POSITION_COLUMNS[1:]]


def _read_places(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row and column on the array int64 [n, 2], whether in tissue [n], x and y float64 [n, 2], of all bins."""
    from pyarrow import ArrowException
    from pyarrow.parquet import read_table

    if _n_rows(path) > MAX_SPOTS:
        raise damaged(path, f"it claims {_n_rows(path)} rows")
    with reading(path, ArrowException, KeyError):
        table = read_table(path, columns=POSITION_COLUMNS[1:])
        values = {name: table[name].to_numpy().astype(np.float64) for name in POSITION_COLUMNS[1:]}
    array = np.column_stack([values["array_row"], values["array_col"]])
    pixels = np.column_stack([values[name] for name in PIXELS])
    if not (np.isfinite(pixels).all() and ((array >= 0) & (array < MAX_SPOTS)).all()):
        raise damaged(path, "it has places that are none")
    if not np.isin(values["in_tissue"], (0, 1)).all():
        raise damaged(path, "in_tissue is not 0 or 1 everywhere")
    if int(array[:, 0].max() + 1) * int(array[:, 1].max() + 1) > 2 * MAX_SPOTS:
        raise damaged(path, "its array is larger than that of a slide")
    return array.astype(np.int64), values["in_tissue"], pixels


def _places(barcodes: np.ndarray, files: Files) -> np.ndarray:
    """Row and column of the bins, int64 [n, 2], as their barcodes say."""
    text = np.asarray(barcodes, dtype=f"S{len(NAME)}")
    characters = text.view(np.uint8).reshape(len(text), len(NAME))
    digits, others = characters[:, DIGITS] - ord("0"), characters[:, ~DIGITS]  # of uint8: below 0 is above 9
    like_names = (digits <= 9).all() and (others == np.frombuffer(NAME, np.uint8)[~DIGITS]).all()
    if not like_names:
        raise EfnstError(
            f"Expected barcodes like s_{files.bin_um:03d}um_00000_00000-1 in {files.matrix.name}, found others "
            f"({str(barcodes[0])[:40]}): take the file from the Space Ranger run again."
        )
    tens = 10 ** np.arange(4, -1, -1)
    places = np.column_stack([(characters[:, part] - ord("0")) @ tens for part in (ROW, COLUMN)])
    if len(np.unique(places @ (MAX_SPOTS, 1))) < len(places):
        raise damaged(files.matrix, "it has barcodes that stand more than once")
    return places


def _names(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Barcodes of bins of 8 µm."""
    places = zip(rows.tolist(), columns.tolist(), strict=True)
    return np.array([f"s_{DEFAULT_BIN_UM:03d}um_{row:05d}_{col:05d}-1" for row, col in places], dtype=object)


def _summed_counts(matrix: h5py.Group, path: Path, of_bin: np.ndarray, shape: tuple[int, int]) -> csr_matrix:
    """Counts int32 [n_squares, n_features] of the squares that the bins lie in."""
    summed = [block.tocoo() for block in _blocks(matrix, path, of_bin, shape)]
    values, rows, columns = (
        np.concatenate([getattr(part, name) for part in summed]) for name in ("data", "row", "col")
    )
    return csr_matrix((values, (rows, columns)), shape=shape)


def _blocks(matrix: h5py.Group, path: Path, of_bin: np.ndarray, shape: tuple[int, int]) -> Iterator[csr_array]:
    """The same for some bins at a time."""
    ends = column(matrix, "indptr", np.int64)
    data, indices = member(matrix, "data"), member(matrix, "indices")
    if len(ends) != len(of_bin) + 1 or ends[0] or (np.diff(ends) < 0).any() or ends[-1] != len(data):
        raise damaged(path, "its parts do not fit together")
    for start in range(0, len(of_bin), BINS_AT_ONCE):
        squares, indptr = of_bin[start : start + BINS_AT_ONCE], ends[start : start + BINS_AT_ONCE + 1]
        part = slice(int(indptr[0]), int(indptr[-1]))
        with reading(path, TypeError):
            block = csr_matrix((data[part], indices[part], indptr - indptr[0]), (len(squares), shape[1]))
            block.check_format(full_check=True)
        at = squares, np.arange(len(squares))
        member_of = csr_array((np.ones(len(squares), np.int32), at), (shape[0], len(squares)))
        yield member_of @ csr_array(as_counts(block, path.name))
