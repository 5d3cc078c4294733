"""Files of a Space Ranger folder: where they are, and what is in them, before anything is joined."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from scipy.io import mmread
from scipy.sparse import csr_matrix

from efnst.errors import EfnstError

POSITION_COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
POSITION_FILES = ("tissue_positions.csv", "tissue_positions_list.csv")
MATRIX_NAMES = ("filtered_feature_bc_matrix.h5", "filtered_feature_bc_matrix")
RAW_MATRIX_NAMES = ("raw_feature_bc_matrix.h5", "raw_feature_bc_matrix")
SCALE_FACTORS = "scalefactors_json.json"
EXPRESSION = "Gene Expression"


@dataclass(frozen=True)
class Files:
    """Where the files of one section lie; `images` has the keys hires and lowres, as far as there are such files."""

    outs: Path
    matrix: Path
    is_filtered: bool
    positions: Path
    scale_factors: Path
    images: dict[str, Path]


@dataclass(frozen=True)
class Matrix:
    """Counts as read: int32 CSR [n_barcodes, n_genes], expression features only."""

    barcodes: np.ndarray
    gene_ids: np.ndarray
    gene_names: np.ndarray
    counts: csr_matrix


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what a damaged file makes its reader raise into an error for the user."""
    try:
        yield
    except (OSError, EOFError, zlib.error, csv.Error, ValueError, KeyError, SyntaxError) as error:
        what = str(error).strip() or type(error).__name__
        raise EfnstError(
            f"Expected a complete {path.name}, found that it cannot be read ({what}): copy the file again."
        ) from error


def find_files(folder: Path) -> Files:
    """The files of a section in `folder`, which is an outs folder or holds one."""
    outs = find_outs(folder)
    spatial = outs / "spatial"
    matrix, is_filtered = _find_matrix(outs)
    return Files(
        outs=outs,
        matrix=matrix,
        is_filtered=is_filtered,
        positions=_find_positions(spatial),
        scale_factors=_existing(spatial / SCALE_FACTORS),
        images={
            source: spatial / f"tissue_{source}_image.png"
            for source in ("hires", "lowres")
            if (spatial / f"tissue_{source}_image.png").is_file()
        },
    )


def find_outs(folder: Path) -> Path:
    """`folder` or its sub-folder outs, whichever holds the folder spatial."""
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise EfnstError(f"Expected a Space Ranger outs folder, found {found} at {folder}: check the column section.")
    for outs in (folder, folder / "outs"):
        if (outs / "spatial").is_dir():
            return outs
    for outs in (folder, folder / "outs"):
        if (outs / "binned_outputs").is_dir():
            raise EfnstError(
                f"Expected a section with 55 µm spots, found Visium HD (binned_outputs) in {folder}: "
                "Visium HD is not supported yet."
            )
    raise EfnstError(
        f"Expected a Space Ranger outs folder, found no folder spatial in {folder}{_listing(folder)}: "
        "give the folder that holds spatial and filtered_feature_bc_matrix.h5, or its parent."
    )


def read_matrix(path: Path) -> Matrix:
    """Read a feature-barcode matrix, HDF5 file or folder with matrix.mtx, and keep its expression features.

    Raises EfnstError for a damaged file, an empty matrix, repeated barcodes, and values that are no counts.
    """
    barcodes, features, counts = _read_folder(path) if path.is_dir() else _read_h5(path)
    is_gene = features["feature_type"].to_numpy() == EXPRESSION
    if not is_gene.any():
        kinds = ", ".join(sorted(set(features["feature_type"]))) or "no features"
        raise EfnstError(f"Expected features of type {EXPRESSION} in {path.name}, found {kinds}.")
    require_unique(barcodes, path)
    counts = as_counts(counts if is_gene.all() else counts[:, np.flatnonzero(is_gene)], path)
    if not counts.nnz:
        raise EfnstError(
            f"Expected counts in {path.name}, found an empty matrix ({len(barcodes)} barcodes × "
            f"{counts.shape[1]} genes, no count above 0): take the matrix from the Space Ranger run again."
        )
    genes = features[is_gene]
    names = genes["name"].where(genes["name"] != "", genes["id"])
    return Matrix(barcodes, genes["id"].to_numpy(object), names.to_numpy(object), counts)


def read_positions(path: Path) -> tuple[pd.DataFrame, bool]:
    """Read the positions of all spots, with barcodes as index, and whether the file has a header.

    The names of the files do not tell: 1.x has no header, 2.x has one, and both occur under either name. So the first
    cell decides. Without a header the order is that of `POSITION_COLUMNS`, row (y) before column (x).
    """
    with reading(path), path.open(newline="", encoding="utf-8-sig") as file:
        first = next(csv.reader(file), [])
    has_header = bool(first) and first[0].strip().lower() == "barcode"
    if not has_header and len(first) != len(POSITION_COLUMNS):
        raise EfnstError(
            f"Expected {len(POSITION_COLUMNS)} columns ({', '.join(POSITION_COLUMNS)}) in {path.name}, "
            f"found {len(first)} in its first line: take the file from the Space Ranger run again."
        )
    with reading(path):
        table = pd.read_csv(
            path,
            header=0 if has_header else None,
            names=None if has_header else POSITION_COLUMNS,
            dtype=str,
            encoding="utf-8-sig",
            keep_default_na=False,
            skipinitialspace=True,
            index_col=False,
        )
    table.columns = [str(name).strip().lower() for name in table.columns]
    missing = [name for name in POSITION_COLUMNS if name not in table.columns]
    if missing:
        raise EfnstError(f"Expected the column {missing[0]} in {path.name}, found {', '.join(table.columns)}.")
    if table.empty:
        raise EfnstError(
            f"Expected positions in {path.name}, found none: take the file from the Space Ranger run again."
        )
    require_unique(table["barcode"].to_numpy(), path)
    return _numeric_positions(table, path, first_line=2 if has_header else 1), has_header


def read_scales(path: Path) -> dict[str, float]:
    """Read the scale factors; every number among them is finite and above 0."""
    with reading(path):
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(content, dict):
        raise EfnstError(f"Expected a JSON object in {path.name}, found {type(content).__name__}: take the file again.")
    factors = {name: value for name, value in content.items() if isinstance(value, int | float)}
    for name, value in factors.items():
        if not (np.isfinite(value) and value > 0):
            raise EfnstError(f"Expected {name} above 0 in {path.name}, found {value}: take the file again.")
    return factors


def scale_of(factors: dict[str, float], name: str) -> float:
    """One scale factor, which must be there."""
    if name not in factors:
        found = ", ".join(factors) or "no numbers"
        raise EfnstError(f"Expected {name} in {SCALE_FACTORS}, found {found}: take the file from the run again.")
    return float(factors[name])


def as_counts(values: csr_matrix, path: Path) -> csr_matrix:
    """`values` as int32, refused where they are not whole numbers from 0."""
    data = values.data
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        raise EfnstError(
            f"Expected counts in {path.name}, found {(~np.isfinite(data)).sum()} values that are no numbers."
        )
    if data.size and data.min() < 0:
        raise EfnstError(f"Expected counts of 0 or more in {path.name}, found {data.min()}: give raw counts.")
    if data.dtype.kind == "f" and (data != np.rint(data)).any():
        value = data[data != np.rint(data)][0]
        raise EfnstError(
            f"Expected whole counts in {path.name}, found {value:g}: give raw counts, not normalised or corrected ones."
        )
    if data.size and data.max() > np.iinfo(np.int32).max:
        raise EfnstError(f"Expected counts below 2^31 in {path.name}, found {data.max():g}: give raw counts.")
    counts = csr_matrix((data.astype(np.int32), values.indices, values.indptr), shape=values.shape)
    counts.sum_duplicates()
    counts.eliminate_zeros()
    return counts


def require_unique(barcodes: np.ndarray, path: Path) -> None:
    """Refuse barcodes that stand more than once."""
    names, times = np.unique(barcodes.astype(str), return_counts=True)
    if (times > 1).any():
        raise EfnstError(
            f"Expected every barcode once in {path.name}, found {names[times > 1][0]} {times.max()} times "
            f"({(times > 1).sum()} barcodes are repeated): take the file from the Space Ranger run again."
        )


def _find_matrix(outs: Path) -> tuple[Path, bool]:
    """The filtered matrix, the raw one only where there is none, and which it is; a prefix of the name is accepted."""
    for names, is_filtered in ((MATRIX_NAMES, True), (RAW_MATRIX_NAMES, False)):
        for name in names:
            if (outs / name).exists():
                return outs / name, is_filtered
            prefixed = sorted(outs.glob(f"*[._-]{name}"))
            if len(prefixed) > 1:
                found = ", ".join(path.name for path in prefixed)
                raise EfnstError(
                    f"Expected one {name} in {outs}, found {found}: give each section a folder of its own."
                )
            if prefixed:
                return prefixed[0], is_filtered
    raise EfnstError(
        f"Expected filtered_feature_bc_matrix.h5 (or the folder of that name, or the raw matrix) in {outs}, "
        f"found neither{_listing(outs)}: copy it from the Space Ranger run."
    )


def _find_positions(spatial: Path) -> Path:
    """The file of positions."""
    for name in POSITION_FILES:
        if (spatial / name).is_file():
            return spatial / name
    if (spatial / "tissue_positions.parquet").is_file():
        raise EfnstError(
            f"Expected tissue_positions.csv in {spatial}, found tissue_positions.parquet as Visium HD has it: "
            "Visium HD is not supported yet."
        )
    names = " or ".join(POSITION_FILES)
    raise EfnstError(
        f"Expected {names} in {spatial}, found neither{_listing(spatial)}: copy it from the Space Ranger run."
    )


def _existing(path: Path) -> Path:
    """`path`, which must be a file."""
    if not path.is_file():
        raise EfnstError(
            f"Expected {path.name} in {path.parent}, found none{_listing(path.parent)}: "
            "copy it from the Space Ranger run."
        )
    return path


def _listing(folder: Path) -> str:
    """A few names of what is in a folder, for a message."""
    names = sorted(path.name for path in folder.iterdir())
    return f" (it holds {', '.join(names[:8])}{', …' if len(names) > 8 else ''})" if names else " (it is empty)"


def _read_h5(path: Path) -> tuple[np.ndarray, pd.DataFrame, csr_matrix]:
    """Barcodes, features and values [n_barcodes, n_features] of a 10x HDF5 file.

    The file holds the matrix by barcode in compressed columns of features × barcodes, which is compressed rows of
    barcodes × features: nothing has to be converted.
    """
    with reading(path), h5py.File(path) as file:
        if not isinstance(file.get("matrix"), h5py.Group) or "features" not in file["matrix"]:
            held = ", ".join(file) or "nothing"
            raise EfnstError(
                f"Expected the group matrix with features as Space Ranger writes it in {path.name}, found {held}: "
                "give filtered_feature_bc_matrix.h5 of Space Ranger."
            )
        matrix = file["matrix"]
        n_features, n_barcodes = (int(size) for size in matrix["shape"][:])
        barcodes = _text(matrix["barcodes"][:])
        features = pd.DataFrame({name: _text(matrix["features"][name][:]) for name in ("id", "name", "feature_type")})
        parts = (matrix["data"][:], matrix["indices"][:].astype(np.int32), matrix["indptr"][:])
        counts = csr_matrix(parts, shape=(n_barcodes, n_features))
        counts.check_format(full_check=True)
        _require_sizes(counts, barcodes, features)
    return barcodes, features, counts


def _read_folder(path: Path) -> tuple[np.ndarray, pd.DataFrame, csr_matrix]:
    """Barcodes, features and values [n_barcodes, n_features] of a folder with matrix.mtx and its names."""
    matrix = _plain_or_gz(path, "matrix.mtx")
    barcodes = _plain_or_gz(path, "barcodes.tsv")
    features = _plain_or_gz(path, "features.tsv", "genes.tsv")
    with reading(barcodes):
        names = np.array([line[0] for line in _tab_separated(barcodes)], dtype=object)
    with reading(features):
        absent = ["", "", EXPRESSION]  # genes.tsv of old has no third column
        lines = [line[:3] + absent[len(line) :] for line in _tab_separated(features)]
        table = pd.DataFrame(lines, columns=["id", "name", "feature_type"], dtype=object)
    with reading(matrix):
        counts = csr_matrix(mmread(matrix).T)
        _require_sizes(counts, names, table)
    return names, table, counts


def _require_sizes(counts: csr_matrix, barcodes: np.ndarray, features: pd.DataFrame) -> None:
    """Raise ValueError where the parts of a matrix do not fit together."""
    if counts.shape != (len(barcodes), len(features)):
        raise ValueError(
            f"the matrix is for {counts.shape[0]} barcodes × {counts.shape[1]} features, "
            f"but {len(barcodes)} barcodes and {len(features)} features are named"
        )


def _plain_or_gz(folder: Path, *names: str) -> Path:
    """The file of one of these names in `folder`, as it is or with .gz."""
    for name in names:
        for path in (folder / f"{name}.gz", folder / name):
            if path.is_file():
                return path
    raise EfnstError(
        f"Expected {names[0]}.gz in {folder}, found none{_listing(folder)}: copy the folder from the Space Ranger run."
    )


def _tab_separated(path: Path) -> list[list[str]]:
    """Lines of a tab-separated file, plain or compressed."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        return [line.rstrip("\r\n").split("\t") for line in file if line.strip()]


def _text(values: np.ndarray) -> np.ndarray:
    """Bytes of an HDF5 file as text."""
    return np.array([value.decode() if isinstance(value, bytes) else str(value) for value in values], dtype=object)


def _numeric_positions(table: pd.DataFrame, path: Path, first_line: int) -> pd.DataFrame:
    """Numbers of the positions, refused where they are none; `in_tissue` is 0 or 1."""
    numbers = table[POSITION_COLUMNS[1:]].apply(pd.to_numeric, errors="coerce")
    wrong = ~np.isfinite(numbers.to_numpy(float))
    if wrong.any():
        row, column = (int(index) for index in np.argwhere(wrong)[0])
        raise EfnstError(
            f"Expected a number in line {row + first_line} of {path.name}, column {numbers.columns[column]}, "
            f"found {table[numbers.columns[column]].iloc[row]!r} ({wrong.any(axis=1).sum()} such lines): "
            "take the file from the Space Ranger run again."
        )
    other = numbers.loc[~numbers["in_tissue"].isin((0, 1)), "in_tissue"]
    if len(other):
        raise EfnstError(
            f"Expected 0 or 1 in the column in_tissue of {path.name}, found {other.iloc[0]:g} "
            f"({len(other)} such lines): the columns may be in another order; "
            "take the file from the Space Ranger run again."
        )
    numbers.index = pd.Index(table["barcode"].str.strip(), name="barcode")
    return numbers
