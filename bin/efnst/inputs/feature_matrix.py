"""Feature-barcode matrices as Space Ranger writes them: HDF5 file or folder with matrix.mtx.

What a file claims to hold is compared with its size before anything of that size is made: a few bytes can claim 2^60.
"""

import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from efnst.errors import EfnstError, damaged, each_read, reading
from efnst.inputs.hdf5 import DEFLATE_RATIO, column, member, names_in, opened

EXPRESSION = "Gene Expression"
LEAST_LINE = 6  # bytes of a line of matrix.mtx: row, column and value of one digit each
MAX_SPOTS = 12_000_000  # a slide of Visium HD has 11 million bins of 2 µm
MAX_FEATURES = 2_000_000  # genes, probes and peaks of chromatin together
LONGEST_NAME = 1000  # characters of a barcode, an identifier or a symbol
MISSING = ("", "nan", "NaN", "NA", "None", "<NA>")  # as tools write that a gene has no name
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
LONGEST_LINE = 100_000  # bytes
MAX_CHARACTERS = 1_000_000_000  # of barcodes.tsv and features.tsv, unpacked
COMMENT_LINES = 1000
LONGEST_ENTRY = 100  # bytes of a line of matrix.mtx, of which tools write at most half
ENTRIES_AT_ONCE = 5_000_000
FEATURE_COLUMNS = {"id": "id", "name": "name", "feature_type": "feature_type", "genes": "id", "gene_names": "name"}
MARKET_START = "%%MatrixMarket matrix coordinate integer general"
MARKET_KINDS = [["coordinate", field, "general"] for field in ("integer", "real", "unsigned-integer")]
HEADERS = {  # first names of columns above barcodes or features, which Space Ranger does not write
    *("barcode", "barcodes", "cell", "cells", "cell_id", "cell_barcode", "spot", "spots", "spot_id", "index"),
    *("x", "v1", "id", "gene", "genes", "gene_id", "gene_ids", "gene_name", "gene_names", "symbol", "ensembl_id"),
    *("gene_symbol", "name", "names", "feature", "features", "feature_id", "feature_name"),
}


@dataclass(frozen=True)
class Matrix:
    """Counts as read: int32 CSR [n_barcodes, n_genes], expression features only."""

    barcodes: np.ndarray
    gene_ids: np.ndarray
    gene_names: np.ndarray
    counts: csr_matrix

    def __post_init__(self) -> None:
        """Refuse what no section has: more spots than a slide has places, and names that are none."""
        if len(self.barcodes) > MAX_SPOTS:
            raise EfnstError(f"Expected at most {MAX_SPOTS} spots in a section, found {len(self.barcodes)}.")
        for names in (self.barcodes, self.gene_ids, self.gene_names):
            _require_names(names)


def read_matrix(path: Path, with_counts: bool = True) -> Matrix:
    """Read a feature-barcode matrix, HDF5 file or folder with matrix.mtx, and keep its expression features.

    Without `with_counts` only the names are read, and the counts are all zero: for a quick look. Raises EfnstError for
    a damaged file, an empty matrix, repeated barcodes, and values that are no counts.
    """
    barcodes, features, counts = (_read_folder if path.is_dir() else _read_h5)(path, with_counts)
    is_gene = genes_among(features, path)
    require_unique(barcodes, path.name)
    counts = as_counts(counts if is_gene.all() else counts[:, np.flatnonzero(is_gene)], path.name)
    return named_matrix(path, barcodes, features[is_gene], counts, with_counts)


def genes_among(features: pd.DataFrame, path: Path) -> np.ndarray:
    """Which features are genes, bool [n_features]; at least one must be."""
    is_gene = features["feature_type"].to_numpy() == EXPRESSION
    if not is_gene.any():
        kinds = ", ".join(sorted(set(features["feature_type"]))[:8]) or "no features"
        raise EfnstError(f"Expected features of type {EXPRESSION} in {path.name}, found {kinds}.")
    return is_gene


def named_matrix(
    path: Path, barcodes: np.ndarray, genes: pd.DataFrame, counts: csr_matrix, with_counts: bool
) -> Matrix:
    """Counts [n_barcodes, n_genes] with their names; some must be above 0, unless they were left unread."""
    if with_counts and not counts.nnz:
        raise EfnstError(
            f"Expected counts in {path.name}, found an empty matrix ({len(barcodes)} barcodes × "
            f"{counts.shape[1]} genes, no count above 0): take the matrix from the Space Ranger run again."
        )
    ids, names = genes["id"].to_numpy(object), genes["name"].to_numpy(object)
    return Matrix(barcodes, filled(ids, names), filled(names, ids), counts)


def filled(names: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """Names of genes, text [n_genes], each that is missing replaced by the first of `others` that is not."""
    for other in others:
        names = np.where(np.isin(names, MISSING), other, names)
    return names


def as_counts(values: csr_matrix, name: str) -> csr_matrix:
    """`values` as int32, refused where they are not whole numbers from 0; `name` is what they were read from."""
    data = values.data
    if data.dtype.kind not in "fiub":
        raise EfnstError(f"Expected counts in {name}, found values of type {data.dtype}: give raw counts.")
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        raise EfnstError(f"Expected counts in {name}, found {(~np.isfinite(data)).sum()} values that are no numbers.")
    if data.size and data.min() < 0:
        raise EfnstError(f"Expected counts of 0 or more in {name}, found {data.min()}: give raw counts.")
    if data.dtype.kind == "f" and (data != np.rint(data)).any():
        value = data[data != np.rint(data)][0]
        raise EfnstError(
            f"Expected whole counts in {name}, found {value:g}: give raw counts, not normalised or corrected ones."
        )
    if data.size and data.max() > np.iinfo(np.int32).max:
        raise EfnstError(f"Expected counts below 2^31 in {name}, found {data.max():g}: give raw counts.")
    counts = csr_matrix((data.astype(np.int32, copy=False), values.indices, values.indptr), shape=values.shape)
    counts.sum_duplicates()
    counts.eliminate_zeros()
    return counts


def _require_names(names: Iterable[str]) -> None:
    """Refuse names that are none: longer than `LONGEST_NAME`, or with line breaks and other control characters."""
    longest = max(map(len, names), default=0)
    if longest > LONGEST_NAME:
        raise EfnstError(
            f"Expected barcodes and names of genes of at most {LONGEST_NAME} characters, found one of {longest}: take "
            "the file from the run again."
        )
    wrong = next(filter(CONTROL.search, names), None)
    if wrong is not None:
        raise EfnstError(
            f"Expected barcodes and names of genes without line breaks and control characters, found {wrong[:100]!r}: "
            "take the file from the run again."
        )


def require_unique(barcodes: np.ndarray, name: str) -> None:
    """Refuse barcodes that stand more than once; `name` is the file they were read from."""
    names = pd.Series(barcodes, dtype=object)
    repeated = names[names.duplicated()]
    if len(repeated):
        times = names[names.isin(repeated)].value_counts()
        raise EfnstError(
            f"Expected every barcode once in {name}, found {repeated.iloc[0]} {times.max()} times "
            f"({len(times)} barcodes are repeated): take the file from the Space Ranger run again."
        )


def _read_h5(path: Path, with_counts: bool) -> tuple[np.ndarray, pd.DataFrame, csr_matrix]:
    """Barcodes, features and values [n_barcodes, n_features] of a 10x HDF5 file.

    The file holds the matrix by barcode in compressed columns of features × barcodes, which is compressed rows of
    barcodes × features: nothing has to be converted.
    """
    with opened(path) as file:
        matrix = _matrix_in(file)
        features, barcodes = h5_features(file, path), _text(column(matrix, "barcodes"), path)
        shape = (len(barcodes), len(features))
        _require_sizes(column(matrix, "shape").tolist()[::-1], barcodes, features, path)
        counts = csr_matrix(shape, dtype=np.int32)
        if with_counts:
            parts = column(matrix, "data"), column(matrix, "indices", np.int32), column(matrix, "indptr")
            with reading(path, TypeError):
                counts = csr_matrix(parts, shape=shape)
                counts.check_format(full_check=True)
    return barcodes, features, counts


def h5_features(file: h5py.File, path: Path) -> pd.DataFrame:
    """`id`, `name` and `feature_type` of the features of a 10x HDF5 file."""
    matrix = _matrix_in(file)
    named = member(matrix, "features") or matrix
    columns = {held: name for held, name in FEATURE_COLUMNS.items() if held in names_in(named)}
    if not columns:
        held = ", ".join(names_in(file)[:8]) or "nothing"
        raise EfnstError(
            f"Expected the group matrix with features as Space Ranger writes it in {path.name}, found {held}: "
            "give filtered_feature_bc_matrix.h5 of Space Ranger."
        )
    texts = {columns[held]: _text(column(named, held), path) for held in columns}
    if len({len(text) for text in texts.values()}) > 1:
        raise damaged(path, "its features have ids, names and types of different numbers")
    absent = {"id": "", "name": "", "feature_type": EXPRESSION}
    return pd.DataFrame(texts, dtype=object).assign(**{name: absent[name] for name in absent if name not in texts})


def _matrix_in(file: h5py.File) -> h5py.Group | None:
    """The matrix of a 10x HDF5 file: the group matrix, or that of a genome, as Cell Ranger 2 and DropletUtils have."""
    genomes = [name for name in names_in(file) if "gene_names" in names_in(member(file, name))]
    return member(file, genomes[0] if len(genomes) == 1 else "matrix")


def _read_folder(path: Path, with_counts: bool) -> tuple[np.ndarray, pd.DataFrame, csr_matrix]:
    """Barcodes, features and values [n_barcodes, n_features] of a folder with matrix.mtx and its names."""
    matrix = _plain_or_gz(path, "matrix.mtx")
    barcodes = _plain_or_gz(path, "barcodes.tsv")
    features = _plain_or_gz(path, "features.tsv", "genes.tsv")
    with _open(matrix) as file:
        n_features, n_barcodes, n_entries = _market_header(matrix, file)
        if n_barcodes > MAX_SPOTS or n_features > MAX_FEATURES:
            raise damaged(matrix, f"it claims {n_barcodes} barcodes and {n_features} features")
        names = np.array(_barcodes(_named(barcodes, n_barcodes)), dtype=object)
        table = _feature_table(_named(features, n_features))
        shape = (n_barcodes, n_features)
        _require_sizes([*shape], names, table, matrix)
        if n_entries > matrix.stat().st_size * (DEFLATE_RATIO if matrix.suffix == ".gz" else 1) / LEAST_LINE:
            raise damaged(matrix, f"it claims {n_entries} entries, more than the file can hold")
        counts = _market_entries(matrix, file, shape, n_entries) if with_counts else csr_matrix(shape, dtype=np.int32)
    return names, table, counts


def first_barcode(path: Path) -> str:
    """The first barcode of a feature-barcode matrix, all else unread; empty where there is none."""
    if path.is_dir():
        return next(iter(_barcodes(_lines(_plain_or_gz(path, "barcodes.tsv"), 0))), "")
    with opened(path) as file:
        barcodes = member(_matrix_in(file), "barcodes")
        is_list = isinstance(barcodes, h5py.Dataset) and barcodes.ndim == 1 and len(barcodes)
        with reading(path, TypeError):
            return _text(barcodes[:1], path)[0] if is_list else ""


def _barcodes(lines: list[str]) -> list[str]:
    """The barcodes of the lines of barcodes.tsv."""
    return [_unquoted(line.partition("\t")[0]) for line in lines]


def _named(path: Path, expected: int) -> list[str]:
    """The lines that name what a matrix has `expected` of; a line too many is passed over where it names columns."""
    lines = _lines(path, expected + 1)
    if len(lines) != expected + 1:
        return lines
    if _unquoted(lines[0].partition("\t")[0]).strip().lower() in HEADERS:
        return lines[1:]
    raise EfnstError(
        f"Expected {expected} names in {path.name} as beside it in matrix.mtx, found {len(lines)}: take out the first "
        f"line where it names columns ({lines[0][:40]!r}), else copy the files again."
    )


def _unquoted(field: str) -> str:
    """A field without the quotes that R puts around text."""
    return field[1:-1] if len(field) > 1 and field[0] == field[-1] == '"' else field


def _feature_table(lines: list[str]) -> pd.DataFrame:
    """`id`, `name` and `feature_type` of the lines of features.tsv; genes.tsv of old has no third column."""
    absent = ["", "", EXPRESSION]
    parts = [[_unquoted(field) for field in line.split("\t", 3)[:3]] for line in lines]
    rows = [part + absent[len(part) :] for part in parts]
    return pd.DataFrame(rows, columns=["id", "name", "feature_type"], dtype=object)


def _market_header(path: Path, file: BinaryIO) -> tuple[int, int, int]:
    """Features, barcodes and entries that a matrix.mtx claims; the file is left at its first entry."""
    with reading(path):
        kind = file.readline(LONGEST_LINE).decode().lower().split()
    if kind[:2] != ["%%matrixmarket", "matrix"] or kind[2:] not in MARKET_KINDS:
        raise EfnstError(
            f"Expected {MARKET_START} at the start of {path.name}, found {' '.join(kind)[:80]!r}: write the counts "
            "again in this form."
        )
    line, n_comments = b"%", 0
    while line.startswith(b"%") or (line and not line.strip()):
        with reading(path):
            line = file.readline(LONGEST_LINE)
        n_comments += 1
        if n_comments > COMMENT_LINES:
            raise damaged(path, f"it starts with more than {COMMENT_LINES} lines of comments")
    sizes = line.split()
    if len(sizes) != 3 or not all(size.isdigit() and len(size) < 19 for size in sizes):
        raise damaged(path, f"it has {line[:80]!r} instead of the numbers of features, barcodes and entries")
    return int(sizes[0]), int(sizes[1]), int(sizes[2])


def _market_blocks(path: Path, file: BinaryIO, n_entries: int) -> Iterator[pd.DataFrame]:
    """The entries of a matrix.mtx, numbered from 1; read by pandas: SciPy's reader crashes on damaged files."""
    columns = {"feature": np.int64, "barcode": np.int64, "value": np.float64}
    entries = _Entries(file, n_entries * LONGEST_ENTRY)
    with reading(path):
        blocks = pd.read_csv(entries, sep=r"\s+", names=list(columns), dtype=columns, chunksize=ENTRIES_AT_ONCE)
    return each_read(path, blocks)


class _Entries:
    """A file for pandas, which crashes on lines of gigabytes: ValueError where it is longer than its entries can be."""

    def __init__(self, file: BinaryIO, n_bytes: int) -> None:
        self.file, self.left = file, n_bytes + LONGEST_LINE

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.file)

    def read(self, n_bytes: int) -> bytes:
        content = self.file.read(n_bytes)
        self.left -= len(content)
        if self.left < 0 or (len(content) > LONGEST_LINE and b"\n" not in content):
            raise ValueError(f"more than {LONGEST_ENTRY} bytes for an entry")
        return content


def _market_entries(path: Path, file: BinaryIO, shape: tuple[int, int], n_entries: int) -> csr_matrix:
    """The entries as CSR [n_barcodes, n_features]."""
    parts, total = [], 0
    for block in _market_blocks(path, file, n_entries) if n_entries else ():
        total += len(block)
        at = block[["barcode", "feature"]].to_numpy() - 1
        if total > n_entries or (at < 0).any() or (at >= shape).any():
            raise damaged(path, f"it has entries beyond the {n_entries} of {shape[1]} × {shape[0]} that it claims")
        parts.append((at.astype(np.int32), block["value"].to_numpy()))
    if total != n_entries:
        raise damaged(path, f"it ends after {total} of {n_entries} entries")
    at = np.concatenate([at for at, _ in parts]) if parts else np.empty((0, 2), np.int32)
    values = np.concatenate([values for _, values in parts]) if parts else np.empty(0)
    return csr_matrix((values, at.T), shape=shape)


def _open(path: Path) -> BinaryIO:
    """A file, plain or compressed, to read bytes from."""
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _require_sizes(shape: list[int], barcodes: np.ndarray, features: pd.DataFrame, path: Path) -> None:
    """Refuse a matrix whose parts do not fit together."""
    if len(barcodes) == shape[1] != shape[0]:  # of the features no more are read than are claimed
        raise EfnstError(
            f"Expected genes × spots in {path.name}, found spots × genes ({shape[1]} × {shape[0]}): write it "
            "transposed, as Space Ranger has it."
        )
    if shape != [len(barcodes), len(features)]:
        claimed = " × ".join(f"{size} {what}" for size, what in zip(shape, ("barcodes", "features"), strict=False))
        named = f"{len(barcodes)} barcodes and {len(features)} features"
        raise damaged(path, f"the matrix is for {claimed}, but {named} are named")


def _plain_or_gz(folder: Path, *names: str) -> Path:
    """The file of one of these names in `folder`, as it is or with .gz."""
    for name in names:
        for path in (folder / f"{name}.gz", folder / name):
            if path.is_file():
                return path
    raise EfnstError(
        f"Expected {names[0]}.gz in {folder}, found none{listing(folder)}: copy the folder from the Space Ranger run."
    )


def listing(folder: Path) -> str:
    """A few names of what is in a folder, for a message."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return f" (it holds {', '.join(names[:8])}{', …' if len(names) > 8 else ''})" if names else " (it is empty)"


def _lines(path: Path, expected: int) -> list[str]:
    """The lines of a text, plain or compressed, that are not empty, up to one more than the number `expected`."""
    lines, n_characters = [], 0
    with reading(path), _open(path) as file, TextIOWrapper(file, "utf-8", newline="\n") as text:
        while len(lines) <= expected and (line := text.readline(LONGEST_LINE)):
            n_characters += len(line)
            if n_characters > MAX_CHARACTERS:
                raise ValueError(f"more than {MAX_CHARACTERS} characters")
            if not line.isspace():
                lines.append(line.rstrip("\r\n"))
    return lines


def _text(values: np.ndarray, path: Path) -> np.ndarray:
    """Bytes of an HDF5 file as text."""
    with reading(path):
        return np.array([value.decode() if isinstance(value, bytes) else str(value) for value in values], dtype=object)
