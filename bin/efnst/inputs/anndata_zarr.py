"""AnnData in a zarr folder of its own, not within SpatialData: written as .h5ad once, and read as such."""

import warnings
from functools import cache
from pathlib import Path

from efnst.errors import reading
from efnst.inputs.links import require_own_files
from efnst.inputs.spatialdata import forget_codecs
from efnst.program.scratch import new_folder


def is_anndata_zarr(path: Path) -> bool:
    """Whether a zarr folder holds one AnnData."""
    is_zarr = path.name.lower().endswith(".zarr")
    return is_zarr and (path / "obs").is_dir() and (path / "var").is_dir() and not (path / "tables").exists()


@cache
def as_h5ad(path: Path) -> Path:
    """The same as an .h5ad file of its name, none of whose arrays may run code when it is read or lie elsewhere."""
    require_own_files(path)
    forget_codecs()
    file = new_folder() / path.name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about formats to come
        from anndata import read_zarr

        with reading(path, Exception):  # zarr and anndata have exceptions of their own
            read_zarr(path).write_h5ad(file)
    return file
