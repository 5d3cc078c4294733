"""Where the image of a section lies, as a file; one inside of an archive, .h5ad or zarr is written to a file first."""

from pathlib import Path

import numpy as np
from PIL import Image

from efnst.errors import EfnstError
from efnst.inputs.anndata_zarr import as_h5ad, is_anndata_zarr
from efnst.inputs.archive import is_archive, unpack
from efnst.inputs.deposit import arranged, is_deposit
from efnst.inputs.links import require_inside
from efnst.inputs.space_ranger import files_root
from efnst.program.memory import bounded_memory
from efnst.program.scratch import new_folder


def image_path(section: dict, folder: Path | None, image: Path | None) -> Path | None:
    """Where the image of the section lies; None if it has none, or without `folder`. `section`: uns["section"]."""
    source, file = section["image"]["source"], section["image"]["file"]
    if source == "none" or folder is None:
        return None
    if source == "fullres":
        if image is None:
            raise EfnstError("Expected the full-resolution image of this section, found none: give it with --image.")
        return image
    return located(folder, file)


def located(section: Path, name: str) -> Path:
    """The image `name` of the section, where `name` is what uns["section"]["image"]["file"] says."""
    if section.is_dir() and not section.name.lower().endswith(".zarr"):
        deposit = next((folder for folder in (section, section / "outs") if is_deposit(folder)), None)
        path = _in_deposit(deposit, name) if deposit else section / name
        if not path.is_file():
            raise EfnstError(
                f"Expected the image `{name}` in the section folder `{section.name}`, found none: restore it."
            )
        return path if deposit else require_inside(path, files_root(section))
    if is_archive(section):
        return _unpacked(section, name)
    if is_anndata_zarr(section):
        return located(as_h5ad(section), name)
    if section.name.lower().endswith(".zarr"):
        from efnst.inputs.spatialdata import read_image
    else:
        from efnst.inputs.h5ad import read_image
    path = new_folder() / f"{Path(name).name}.png"
    with bounded_memory(section):
        Image.fromarray(as_uint8(read_image(section, name), name)).save(path, compress_level=1)
    return path


def _in_deposit(folder: Path, name: str) -> Path:
    """The image `name` of a deposit, with the sample in front where the folder holds several."""
    sample, _, within = name.rpartition("spatial/")
    return arranged(folder, sample.rstrip("/")) / "spatial" / within


def _unpacked(archive: Path, name: str) -> Path:
    """The image `name` of an archive, in a folder of its own."""
    folder = new_folder()
    unpack(archive, folder, lambda member: member == name)
    if not (folder / name).is_file():
        raise EfnstError(f"Expected the image `{name}` in {archive.name}, found none: give the same archive.")
    return folder / name


def as_uint8(pixels: np.ndarray, name: str) -> np.ndarray:
    """An image [height, width(, 1, 3 or 4)] as uint8; floats are taken to run from 0 to 1, or to 255 where they do."""
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3, 4) and pixels.shape[2] not in (1, 3, 4):
        pixels = np.moveaxis(pixels, 0, 2)  # channels first
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))) or not pixels.size:
        raise EfnstError(
            f"Expected an image of 1, 3 or 4 channels in {name}, found an array of the shape {pixels.shape}."
        )
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind == "f":
        if not np.isfinite(pixels).all() or pixels.min() < 0:
            raise EfnstError(f"Expected colours of 0 or more in the image {name}, found others: write it again.")
        return np.rint(pixels * (255 if pixels.max() <= 1 else 1)).clip(0, 255).astype(np.uint8)
    if pixels.dtype == np.uint16:
        return (pixels >> 8 if pixels.max() > 255 else pixels).astype(np.uint8)
    raise EfnstError(f"Expected colours of 8 or 16 bits in the image {name}, found {pixels.dtype}: write it again.")
