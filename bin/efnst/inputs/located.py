"""Where the image of a section lies, as a file; one inside of an archive, .h5ad or zarr is written to a file first."""

from pathlib import Path

import numpy as np
from PIL import Image

from efnst.errors import EfnstError
from efnst.inputs.anndata_zarr import as_h5ad, is_anndata_zarr
from efnst.inputs.archive import deposits_in, unpack_deposit
from efnst.inputs.deposit import arranged, is_deposit
from efnst.inputs.links import require_inside
from efnst.inputs.space_ranger import files_root
from efnst.inputs.told import told
from efnst.inputs.unpack import file_names, is_archive, unpack
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
    with told(section):
        return _located(section, name)


def _located(section: Path, name: str) -> Path:
    """The same; errors may speak of copies."""
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
    is_anndata = is_anndata_zarr(section)
    if section.name.lower().endswith(".zarr") and not is_anndata:
        from efnst.inputs.spatialdata import read_image
    else:
        from efnst.inputs.h5ad import read_image

        section = as_h5ad(section) if is_anndata else section
    path = new_folder() / f"{Path(name).name}.png"
    with bounded_memory(section):
        Image.fromarray(as_uint8(read_image(section, name), name)).save(path, compress_level=1)
    return path


def _in_deposit(folder: Path, name: str) -> Path:
    """The image `name` of a deposit, with the sample in front where the folder holds several."""
    sample, _, within = name.rpartition("spatial/")
    return arranged(folder, sample.rstrip("/")) / "spatial" / within


def _unpacked(archive: Path, name: str) -> Path:
    """The image `name` of an archive, in a folder of its own; of a deposit after the sample, as in its folder."""
    folder = new_folder()
    unpack(archive, folder, lambda member: member == name)
    if (folder / name).is_file():
        return folder / name
    deposits = deposits_in(archive, file_names(archive))
    if len(deposits) != 1:
        raise EfnstError(f"Expected the image `{name}` in {archive.name}, found none: give the same archive.")
    return _located(unpack_deposit(archive, *deposits), name)


def as_uint8(pixels: np.ndarray, name: str) -> np.ndarray:
    """An image [height, width(, 1, 3 or 4)] of any type as uint8; floats run from 0 to 1, or as whole numbers do."""
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3, 4) and pixels.shape[2] not in (1, 3, 4):
        pixels = np.moveaxis(pixels, 0, 2)  # channels first
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))) or not pixels.size:
        raise EfnstError(
            f"Expected an image of 1, 3 or 4 channels in {name}, found an array of the shape {pixels.shape}."
        )
    if pixels.dtype in (np.uint8, np.bool_):
        return pixels if pixels.dtype == np.uint8 else pixels * np.uint8(255)
    is_number = pixels.dtype.kind in "fiu"
    if not is_number or not 0 <= pixels.min() <= pixels.max() <= np.iinfo(np.uint16).max:
        found = f"{pixels.dtype} from {pixels.min():g} to {pixels.max():g}" if is_number else pixels.dtype
        raise EfnstError(f"Expected colours from 0 to 65535 in the image {name}, found {found}: write it again.")
    parts = [pixels] if pixels.ndim == 2 else [pixels[..., :3], pixels[..., 3:]]  # transparency has a depth of its own
    return np.concatenate([_eight_bits(part) for part in parts if part.size], axis=-1)


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Values of up to 16 bits, or floats from 0 to 1, as uint8; see `RowReader`."""
    from efnst.image.rows import bit_depth

    if values.dtype.kind == "f":
        values = values * 255 if values.max() <= 1 else values
        values = np.minimum(values, 255) if values.max() < 2 * 255 else values  # resampling overshoots
    whole = np.rint(values).astype(np.uint16)
    return (whole >> (bit_depth(whole.max()) - 8)).astype(np.uint8)
