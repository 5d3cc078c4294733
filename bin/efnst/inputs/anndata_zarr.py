"""AnnData in a zarr folder of its own, not within SpatialData: written as .h5ad once, and read as such."""

import warnings
from functools import cache
from pathlib import Path

from efnst.errors import reading
from efnst.inputs.links import require_own_files
from efnst.inputs.space_ranger import IMAGE_NAMES
from efnst.inputs.spatialdata import forget_codecs
from efnst.names import NO_IMAGE
from efnst.program.scratch import new_folder


def is_anndata_zarr(path: Path) -> bool:
    """Whether a zarr folder holds one AnnData."""
    is_zarr = path.name.lower().endswith(".zarr")
    return is_zarr and (path / "obs").is_dir() and (path / "var").is_dir() and not (path / "tables").exists()


def has_images(path: Path) -> bool:
    """Whether the AnnData of a zarr folder has images that are not ours for who draws a section without one.

    Raises EfnstError where what tells this cannot be read.
    """
    found = (image for kind in IMAGE_NAMES for image in path.glob(f"uns/spatial/**/images/{kind}") if image.is_dir())
    return any(_source_of(path, image.parents[1]) != NO_IMAGE for image in found)


def _source_of(path: Path, library: Path) -> str:
    """The image that the pictures of a library are of, empty where it is not said."""
    import zarr

    source = library / "metadata" / "source"
    if not source.is_dir():
        return ""
    require_own_files(path)
    forget_codecs()
    with reading(path, Exception):  # zarr has exceptions of its own
        stored = zarr.open(source, mode="r")
        return str(stored[()]) if isinstance(stored, zarr.Array) and stored.shape == () else ""


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
