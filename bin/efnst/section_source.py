"""A section as its files say, before anything is joined or compared; the same for all kinds of files."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from efnst.archive import is_archive, unpack_section
from efnst.errors import EfnstError
from efnst.feature_matrix import Matrix, read_matrix
from efnst.metrics_summary import read_metrics
from efnst.positions import read_positions, read_scales
from efnst.space_ranger import find_files


@dataclass(frozen=True)
class Source:
    """What was read of a section.

    `positions` as `read_positions` gives them; `factors` are the scale factors, as far as there are any; `images` are
    the names within `path` of the images hires and lowres; `bin_um` is 0 where spots lie on an array of Visium;
    `is_filtered`: all barcodes of the matrix should be in tissue; `representations` [n_barcodes, ·] are features that
    were computed before, by name; `layout` says in words what was read.
    """

    path: Path
    matrix: Matrix
    is_filtered: bool
    positions: pd.DataFrame
    factors: dict[str, float]
    images: dict[str, str]
    layout: str
    bin_um: int = 0
    is_on_array: bool = True
    metrics: dict[str, float | str] | None = None
    representations: dict[str, np.ndarray] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def open_source(path: Path, bin_um: str = "", expression_rep: str = "", with_counts: bool = True) -> Source:
    """Read a section from a Space Ranger folder or an archive of one, an .h5ad file or a SpatialData zarr.

    `expression_rep` names features computed before, which only the last two can hold. Without `with_counts` the counts
    themselves are left unread, for a quick look.
    """
    if path.name.lower().endswith(".h5ad"):
        from efnst.h5ad_section import read_h5ad_section

        return read_h5ad_section(path, bin_um, expression_rep, with_counts)
    if path.name.lower().endswith(".zarr"):
        from efnst.spatialdata_section import read_spatialdata

        return read_spatialdata(path, bin_um, expression_rep, with_counts)
    if expression_rep:
        raise EfnstError(
            f"Expected a section with the features {expression_rep}, found {path.name}: only .h5ad files and "
            "SpatialData hold any; leave out expression_rep."
        )
    if is_archive(path):
        root, outs = unpack_section(path, bin_um)
        return read_folder(root, outs, bin_um, with_counts)
    return read_folder(path, path, bin_um, with_counts)


def read_folder(root: Path, folder: Path, bin_um: str, with_counts: bool) -> Source:
    """Read a Space Ranger folder at or below `root`, which names of images start from."""
    files = find_files(folder, bin_um)
    matrix = read_matrix(files.matrix, with_counts)
    positions, form = read_positions(files.positions)
    return Source(
        path=root,
        matrix=matrix,
        is_filtered=files.is_filtered,
        positions=positions,
        factors=read_scales(files.scale_factors),
        images={source: path.relative_to(root).as_posix() for source, path in files.images.items()},
        layout=f"{files.matrix.name}, {files.positions.name} {form}",
        bin_um=files.bin_um,
        is_on_array=files.positions.suffix != ".geojson",
        metrics=read_metrics(files.metrics) if files.metrics else None,
        warnings=files.warnings,
    )
