"""Simulated feature-barcode matrices, written and read as Space Ranger does."""

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from scipy import io, sparse

SOFTWARE = {1: "spaceranger-1.3.1", 2: "spaceranger-2.1.0", 3: "spaceranger-3.0.1"}
GENE_EXPRESSION = "Gene Expression"
PROTEINS = tuple(f"CD{number}" for number in range(1, 11))


@dataclass(frozen=True)
class FeatureBarcodeMatrix:
    """Content of a filtered_feature_bc_matrix: `counts` CSC [n_features, n_barcodes] and its names."""

    counts: sparse.csc_matrix
    barcodes: np.ndarray
    ids: np.ndarray
    names: np.ndarray
    types: np.ndarray


def write_matrix(
    matrix: FeatureBarcodeMatrix, outs: Path, kind: str, library: str = "simulated", software: str = SOFTWARE[3]
) -> None:
    """Write filtered_feature_bc_matrix as `h5` (10x HDF5 of version 3) or `mtx` (folder), whatever the counts hold."""
    if kind == "h5":
        _write_h5(matrix, outs / "filtered_feature_bc_matrix.h5", library, software)
    else:
        _write_mtx(matrix, outs / "filtered_feature_bc_matrix")


def write_blocks(
    path: Path,
    barcodes: np.ndarray,
    genes: np.ndarray,
    blocks: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
    compression: int = 1,
) -> int:
    """Write a 10x HDF5 file of any size block by block, in memory that does not grow with it; the number of entries.

    A block is, for the next barcodes, the number of genes seen in each, and numbers and counts of these genes, by
    barcode. `genes` are both ids and names.
    """
    stored = {"shape": (0,), "maxshape": (None,), "chunks": (80_000,), "compression": "gzip"}
    stored["compression_opts"] = compression
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        data = group.create_dataset("data", dtype=np.int32, **stored)
        indices = group.create_dataset("indices", dtype=np.int64, **stored)
        ends = [np.zeros(1, np.int64)]
        for per_barcode, numbers, counts in blocks:
            first = len(data)
            for dataset, values in ((data, counts), (indices, numbers)):
                dataset.resize((first + len(values),))
                dataset[first:] = values
            ends.append(first + per_barcode.cumsum())
        group["indptr"], group["shape"] = np.concatenate(ends), np.array([len(genes), len(barcodes)], np.int32)
        group["barcodes"] = np.asarray(barcodes).astype("S")
        features = group.create_group("features")
        features["id"] = features["name"] = np.asarray(genes).astype("S")
        features["feature_type"] = np.full(len(genes), b"Gene Expression")
        return len(data)


def read_matrix(outs: Path) -> tuple[FeatureBarcodeMatrix, str]:
    """The matrix as this module wrote it, and its kind (`h5` or `mtx`)."""
    path = outs / "filtered_feature_bc_matrix.h5"
    if not path.exists():
        return _read_mtx(outs / "filtered_feature_bc_matrix"), "mtx"
    with h5py.File(path) as file:
        group = file["matrix"]
        counts = sparse.csc_matrix(
            (group["data"][:], group["indices"][:], group["indptr"][:]), tuple(group["shape"][:])
        )
        columns = [group["features"][key].asstr()[:].astype(str) for key in ("id", "name", "feature_type")]
        return FeatureBarcodeMatrix(counts, group["barcodes"].asstr()[:].astype(str), *columns), "h5"


def _write_h5(matrix: FeatureBarcodeMatrix, path: Path, library: str, software: str) -> None:
    counts = matrix.counts
    with h5py.File(path, "w") as file:
        file.attrs["chemistry_description"] = "Spatial 3' v1"
        file.attrs["filetype"] = "matrix"
        file.attrs["library_ids"] = np.array([library], "S")
        file.attrs["original_gem_groups"] = np.array([1])
        file.attrs["software_version"] = software
        file.attrs["version"] = 2
        group = file.create_group("matrix")
        group["shape"] = np.array(counts.shape, np.int32)
        group["barcodes"] = matrix.barcodes.astype("S")
        packed = {"compression": "gzip", "compression_opts": 1, "chunks": True, "maxshape": (None,)}
        group.create_dataset("data", data=counts.data, **packed)
        for name in ("indices", "indptr"):
            group.create_dataset(name, data=getattr(counts, name).astype(np.int64), **packed)
        _write_features(matrix, group.create_group("features"))


def _write_features(matrix: FeatureBarcodeMatrix, features: h5py.Group) -> None:
    features["_all_tag_keys"] = np.array(["genome"], "S")
    features["feature_type"] = matrix.types.astype("S")
    features["genome"] = np.where(matrix.types == GENE_EXPRESSION, "GRCh38", "").astype("S6")
    features["id"] = matrix.ids.astype("S")
    features["name"] = matrix.names.astype("S")


def _write_mtx(matrix: FeatureBarcodeMatrix, folder: Path) -> None:
    folder.mkdir()
    buffer = BytesIO()
    field = "integer" if np.issubdtype(matrix.counts.dtype, np.integer) else "real"
    io.mmwrite(
        buffer, matrix.counts.tocoo(), comment='metadata_json: {"format_version": 2}', field=field, symmetry="general"
    )
    features = [f"{row[0]}\t{row[1]}\t{row[2]}\n" for row in zip(matrix.ids, matrix.names, matrix.types, strict=True)]
    content = {
        "matrix.mtx.gz": buffer.getvalue(),
        "barcodes.tsv.gz": "".join(f"{barcode}\n" for barcode in matrix.barcodes).encode(),
        "features.tsv.gz": "".join(features).encode(),
    }
    for name, data in content.items():
        (folder / name).write_bytes(gzip.compress(data, compresslevel=1, mtime=0))


def _read_mtx(folder: Path) -> FeatureBarcodeMatrix:
    with gzip.open(folder / "matrix.mtx.gz") as file:
        counts = sparse.csc_matrix(io.mmread(file))
    features = pd.read_csv(folder / "features.tsv.gz", sep="\t", header=None, dtype=str).to_numpy(str)
    barcodes = pd.read_csv(folder / "barcodes.tsv.gz", header=None, dtype=str)[0].to_numpy(str)
    return FeatureBarcodeMatrix(counts, barcodes, *features.T)


def with_proteins(matrix: FeatureBarcodeMatrix) -> FeatureBarcodeMatrix:
    """The matrix with ten proteins of high counts below its genes."""
    rows = np.random.default_rng(0).poisson(200, (len(PROTEINS), matrix.counts.shape[1])).astype(matrix.counts.dtype)
    return FeatureBarcodeMatrix(
        counts=sparse.vstack([matrix.counts, sparse.csc_matrix(rows)], format="csc"),
        barcodes=matrix.barcodes,
        ids=np.append(matrix.ids, PROTEINS),
        names=np.append(matrix.names, PROTEINS),
        types=np.append(matrix.types, np.full(len(PROTEINS), "Antibody Capture")),
    )
