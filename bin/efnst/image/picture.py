"""The small picture of a section: its H&E image shrunk while it is decoded, and where the spots lie in it."""

from pathlib import Path

import numpy as np
from anndata import AnnData
from PIL import Image

from efnst.errors import EfnstError
from efnst.geometry.grid import IRREGULAR
from efnst.image.open import image_errors, open_image
from efnst.image.thumbnail import thumbnail
from efnst.names import NO_IMAGE, SECTION, SPATIAL

HIRES_PX, LOWRES_PX = 2000, 600  # longest sides of the two pictures that Space Ranger writes
BLANK_PX = 100  # longest side of the white picture of a section without an image
MAX_IMAGE_PX = 1200  # longest side of the one in the report


def scanpy_pictures(section: AnnData, path: Path | None) -> dict:
    """What scanpy and squidpy look for in uns["spatial"][sample]: `images`, `scalefactors` and `metadata`.

    `hires` is the image that the section was used with, whatever it was called, at most 2000 px a side, `lowres` the
    same at most 600 px: both tools draw `hires` by default. They draw nothing without one, so that it is
    white where `path` is None; `metadata` has its true name as `source`, or `none`.
    The scale factors are px of the picture per full-resolution px; the spot diameter is that of the spot itself (55 µm
    on Visium), not the wider one that Space Ranger writes. µm per px are given but of spots on no array, which they
    would make cells of for who reads them again.
    """
    facts = plain(section.uns[SECTION])
    if path is None:
        full_width, hires = _blank(*section.obsm[SPATIAL].max(axis=0) + facts["pitch_px"])
    else:
        full_width, hires = facts["image"]["width"] / facts["image"]["scale"], small_image(path, facts, HIRES_PX)
    lowres = hires.copy()
    lowres.thumbnail((LOWRES_PX, LOWRES_PX))
    pictures = {"hires": hires, "lowres": lowres}
    factors = {f"tissue_{name}_scalef": float(picture.width / full_width) for name, picture in pictures.items()}
    return {
        "images": {name: np.asarray(picture) for name, picture in pictures.items()},
        "scalefactors": factors | sizes_in(section),
        "metadata": {"source": facts["image"]["source"] if path else NO_IMAGE},
    }


def sizes_in(section: AnnData) -> dict[str, float]:
    """What scale factors say of the sizes of spots, bins or cells."""
    facts = plain(section.uns[SECTION])
    sizes = {"spot_diameter_fullres": float(facts["spot_diameter_px"])}
    on_array = "array_row" in section.obs and (section.obs["array_row"] >= 0).all()
    is_told = on_array or facts["grid"] == IRREGULAR
    return sizes | ({"microns_per_pixel": float(facts["um_per_px"])} if is_told else {})


def _blank(full_width: float, full_height: float) -> tuple[float, Image.Image]:
    """The width of a plane in full-resolution px, and a white picture of its shape."""
    shrink = BLANK_PX / max(full_width, full_height)
    return full_width, Image.new("RGB", (round(full_width * shrink), round(full_height * shrink)), "white")


def stored_picture(section: AnnData, sample: str) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """The pictures in `section`, uint8 [height, width, 3] by name, and their scale factors; none if white."""
    stored = section.uns.get("spatial", {}).get(sample)
    if stored is None or str(stored["metadata"]["source"]) == NO_IMAGE:
        return {}, {}
    return stored["images"], {name: float(stored["scalefactors"][f"tissue_{name}_scalef"]) for name in stored["images"]}


def small_image(path: Path, section: dict, longest_px: int = MAX_IMAGE_PX) -> Image.Image:
    """The image as RGB, shrunk to at most `longest_px` a side; it must be the one that the section was read with."""
    with image_errors(path):
        found = open_image(path)
    expected = int(section["image"]["width"]), int(section["image"]["height"])
    if (found.width, found.height) != expected:
        raise EfnstError(
            f"Expected `{path.name}` to have {expected[0]} x {expected[1]} px as when the section was read, "
            f"found {found.width} x {found.height}: give the same image, or run the section again."
        )
    return thumbnail(path, longest_px)


def plain(value: object) -> object:
    """What anndata read back as numpy types, as plain Python."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return [plain(inner) for inner in value.tolist()]
    return value.item() if isinstance(value, np.generic) else value
