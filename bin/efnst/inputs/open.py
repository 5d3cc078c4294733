"""Opening a section: which reader its kind of file needs."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from efnst.errors import EfnstError
from efnst.inputs.affixes import with_names_of
from efnst.inputs.anndata_zarr import as_h5ad, is_anndata_zarr
from efnst.inputs.archive import unpack_section
from efnst.inputs.feature_matrix import Matrix, read_matrix
from efnst.inputs.fine_bins import are_too_many, in_words, read_summed, summed_scales
from efnst.inputs.metrics import metrics_of
from efnst.inputs.one_section import require_one_section
from efnst.inputs.positions import read_positions, read_scales
from efnst.inputs.source import CELLS, Source
from efnst.inputs.space_ranger import DEFAULT_BIN_UM, Files, find_files
from efnst.inputs.unpack import is_archive

BIN_UM = re.compile(rf"[0-9]{{0,3}}|{CELLS}")


def open_source(
    path: Path, bin_um: str = "", expression_rep: str = "", with_counts: bool = True, library: str = ""
) -> Source:
    """Read a section from a Space Ranger folder or an archive of one, an .h5ad file or a SpatialData zarr.

    `expression_rep` names features computed before, which only the last two can hold. Without `with_counts` the counts
    themselves are left unread, for a quick look. `library` names the section where there are several in one place.
    """
    if not BIN_UM.fullmatch(bin_um):
        raise EfnstError(f"Expected a bin size in µm, cells or nothing as bin_um, found {bin_um[:40]!r}: correct it.")
    if path.name.lower().endswith(".h5ad"):
        from efnst.inputs.h5ad import read_h5ad_section

        return read_h5ad_section(path, bin_um, expression_rep, with_counts, library)
    if is_anndata_zarr(path):
        from efnst.inputs.h5ad import read_h5ad_section

        source = read_h5ad_section(as_h5ad(path), bin_um, expression_rep, with_counts, library)
        return replace(source, path=path)
    if path.name.lower().endswith(".zarr"):
        from efnst.inputs.spatialdata import read_spatialdata

        return read_spatialdata(path, bin_um, expression_rep, with_counts, library)
    if expression_rep:
        raise EfnstError(
            f"Expected a section with the features {expression_rep}, found {path.name}: only .h5ad files and "
            "SpatialData hold any; leave out expression_rep."
        )
    root, outs = unpack_section(path, bin_um) if is_archive(path) else (path, path)
    return read_folder(root, outs, bin_um, with_counts, library)


def read_folder(root: Path, folder: Path, bin_um: str, with_counts: bool, library: str = "") -> Source:
    """Read a Space Ranger folder at or below `root`, which names of images start from."""
    files = find_files(folder, bin_um, library)
    factors = read_scales(files.scale_factors) if files.scale_factors else {}
    if are_too_many(files):
        (matrix, positions), form = read_summed(files, with_counts), "as parquet"
        factors = summed_scales(factors, files.bin_um)
        files = replace(files, bin_um=DEFAULT_BIN_UM, warnings=(*files.warnings, in_words(files)))
    else:
        matrix = read_matrix(files.matrix, with_counts)
        positions, form = read_positions(files.positions)
    if files.suffix:
        matrix, positions = _ending_in(files.suffix, matrix, positions)
    positions, said = with_names_of(pd.Index(matrix.barcodes), positions, "positions")
    metrics, unread = metrics_of(files.metrics)
    is_on_array = files.positions.suffix != ".geojson"
    if is_on_array:
        require_one_section(positions, files.positions.name)
    return Source(
        path=root,
        matrix=matrix,
        is_filtered=files.is_filtered and not _are_raw_pieces(files, root, matrix, positions),
        positions=positions,
        factors=factors,
        images={kind: _name_within(path, root, files.outs, library) for kind, path in files.images.items()},
        layout=", ".join(filter(None, [files.matrix.name, f"{files.positions.name} {form}", library])),
        bin_um=files.bin_um,
        is_on_array=is_on_array,
        is_cells=bin_um == CELLS,
        metrics=metrics,
        warnings=(*files.warnings, *said, *unread),
    )


def _are_raw_pieces(files: Files, root: Path, matrix: Matrix, positions: pd.DataFrame) -> bool:
    """Whether a matrix in pieces, whose names in a deposit do not say it, holds every place of the slide."""
    is_arranged = not files.outs.is_relative_to(root)
    return is_arranged and files.matrix.is_dir() and len(matrix.barcodes) == len(positions)


def _ending_in(suffix: str, matrix: Matrix, positions: pd.DataFrame) -> tuple[Matrix, pd.DataFrame]:
    """The spots of both whose barcodes end in `suffix`."""
    rows = np.flatnonzero([barcode.endswith(suffix) for barcode in matrix.barcodes])
    positions = positions[positions.index.str.endswith(suffix)]
    if not len(rows) or positions.empty:
        raise EfnstError(f"Expected barcodes that end in {suffix}, found none: the files are of different sections.")
    return replace(matrix, barcodes=matrix.barcodes[rows], counts=matrix.counts[rows]), positions


def _name_within(path: Path, root: Path, outs: Path, library: str) -> str:
    """The name of an image below `root`; of an arranged copy `outs` that below it, after the sample; see `located`."""
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    return (Path(library) / path.relative_to(outs)).as_posix()
