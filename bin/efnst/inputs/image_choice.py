"""The image that a section is used with: which one, and whether its spots lie in it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from efnst.errors import EfnstError, damaged, reading
from efnst.geometry.grid import (
    Grid,
)
from efnst.image.formats import begins, first_bytes, kind_of
from efnst.inputs.located import located
from efnst.inputs.positions import scale_of
from efnst.inputs.source import Picture, Source
from efnst.machine import require_memory
from efnst.names import NO_IMAGE

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile
    from tifffile import TiffFile

FULLRES = "fullres"
MAX_OUTSIDE = 0.05  # share of spots that may lie outside the image
MIN_EXTENT = 0.25  # of the image's width or height, below which its scale is doubtful
SIZE_TOLERANCE = 0.02
DECODED_PX = 50_000_000  # images up to this size are decoded as a whole, to find damage before the work begins
FORMATS = ("PNG", "JPEG")  # Pillow knows others, and starts Ghostscript for one of them
BYTES_TO_DECODE = 8  # for a px: the coefficients of a progressive JPEG, and its colours

_PICTURE = "a small picture for looking at"
NO_FULL_RESOLUTION = {
    "detected_tissue_image.jpg": _PICTURE,
    "aligned_fiducials.jpg": _PICTURE,
    "aligned_tissue_image.jpg": _PICTURE,
    "cytassist_image.tiff": "the scan of the CytAssist",
    "cytassist_image.tif": "the scan of the CytAssist",
    "tissue_hires_image.jpg": _PICTURE,
    "tissue_lowres_image.jpg": _PICTURE,
    "tissue_hires_image.jpeg": _PICTURE,
    "tissue_lowres_image.jpeg": _PICTURE,
}


@dataclass(frozen=True)
class ImageChoice:
    """The image that a section is used with; `scale` is image px per full-resolution px, 0 without an image."""

    source: str
    file: str
    scale: float
    width: int
    height: int


@dataclass(frozen=True)
class ImpliedSize:
    """The size in px of the image that Space Ranger had, by the section's image `by` (hires or lowres)."""

    by: str
    width: int
    height: int


def choose_image(image: str, source: Source) -> tuple[ImageChoice, Source, list[str]]:
    """The image to use: none, the full-resolution file given, or hires before lowres of the section itself.

    Then the section without images of its own that are not used and cannot be read, and warnings.
    """
    if image.lower() == NO_IMAGE:
        return ImageChoice(NO_IMAGE, "", 0.0, 0, 0), source, []
    if image:
        _refuse_pictures(Path(image))
        width, height = image_size(Path(image))
        source, warnings = _with_pictures(source, "")
        return ImageChoice(FULLRES, "", 1.0, width, height), source, warnings
    if source.askew and not source.images:
        raise EfnstError(
            f"Expected an image in {source.path.name} that only has to be scaled to lie over the spots, found that "
            f"{', '.join(source.askew)} is turned, mirrored, sheared, shifted or of no size: write the object with an "
            "image that lies as they do (spatialdata.transform), give one in the column image, or image: none."
        )
    if not source.images:
        raise EfnstError(
            f"Expected {source.names.images} in {source.path.name}, found neither"
            f"{_lost_links(source.path)}: give the full-resolution file in the column image, or image: none to run on "
            "expression and position only."
        )
    kind = "hires" if "hires" in source.images else "lowres"
    source, warnings = _with_pictures(source, kind)
    scale = scale_of(source.factors, f"tissue_{kind}_scalef", source.names.factors)
    warnings += _check_two_images(source)
    used = source.pictures[kind]
    return ImageChoice(kind, source.images[kind], scale, used.width, used.height), source, warnings


def _with_pictures(source: Source, chosen: str) -> tuple[Source, list[str]]:
    """The section with those of its images that can be read, as the one `chosen` must be, and warnings.

    Where none is chosen, up to the first one whose scale is known.
    """
    pictures, warnings = {}, []
    for kind, name in source.images.items():
        if not chosen and any(f"tissue_{held}_scalef" in source.factors for held in pictures):
            break
        try:
            path = located(source.path, name)
            pictures[kind] = Picture(path, *image_size(path))
        except EfnstError as error:
            if kind == chosen:
                raise
            warnings.append(f"The {kind} image of the section was left out. {error}")
    images = {kind: name for kind, name in source.images.items() if kind in pictures}
    return replace(source, images=images, pictures=pictures), warnings


def known_picture(image: Path) -> str:
    """What an image is that Space Ranger writes beside the section, by its name; empty for any other."""
    return next((kind for name, kind in NO_FULL_RESOLUTION.items() if image.name.lower().endswith(name)), "")


def _refuse_pictures(image: Path) -> None:
    """Refuse what Space Ranger writes beside the section and is no full-resolution image, known by its name."""
    kind = known_picture(image)
    if kind:
        raise EfnstError(
            f"Expected the full-resolution H&E image, found {image.name}, {kind}: give the file that Space Ranger was "
            "given as --image, or leave the column image empty for the hires image of the section."
        )


def _lost_links(path: Path) -> str:
    """Links to images that lead nowhere, for a message."""
    links = [link for link in path.glob("**/tissue_*_image.png") if link.is_symlink()] if path.is_dir() else []
    return f" ({links[0].name} is a link that leads nowhere: copy with cp -L)" if links else ""


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in px, whatever the file is called.

    Small images are decoded, so that a damaged one is refused here and not hours later; a TIFF is in `thumbnail`.
    """
    from PIL import Image

    if not path.is_file():
        raise EfnstError(f"Expected an image, found no file {path}: check the column image.")
    with reading(path):
        start = first_bytes(path)
        kind = kind_of(path, start)
    if not kind:
        raise damaged(path, begins(start))
    if kind == "tiff":
        return _tiff_size(path)
    Image.MAX_IMAGE_PIXELS = None  # histology images are larger than what Pillow takes for an attack
    with reading(path), Image.open(path, formats=FORMATS) as picture:
        if picture.width * picture.height <= DECODED_PX:
            _decode(picture)
        return picture.size


def _decode(picture: "ImageFile") -> None:
    """Decode all pixels; Pillow calls it a broken stream when libjpeg gets no memory."""
    try:
        picture.load()
    except OSError:
        require_memory(BYTES_TO_DECODE * picture.width * picture.height)
        raise


def check_spots_in_image(
    xy: np.ndarray, image: ImageChoice, grid: Grid, factors: dict[str, float], implied: ImpliedSize | None = None
) -> list[str]:
    """Refuse an image that more than `MAX_OUTSIDE` of the spots lie outside of.

    `xy`: float64 [n_spots, 2] in full-resolution px; `implied` as of `implied_size`. Returns warnings where the image
    has another size than that, and where the spots fill so little of it that its scale is doubtful.
    """
    if image.source == NO_IMAGE:
        return []
    size, tolerance = np.array([image.width, image.height]), grid.spot_diameter_px
    outside, spans = _share_outside(xy, image.scale, size, tolerance), _spans(xy, image)
    other_size = _other_size(image, implied) if implied else ""
    if outside > MAX_OUTSIDE:
        cause = other_size and _factor_like(image, implied, factors) + other_size
        raise EfnstError(
            f"Expected the spots inside the {image.source} image of {image.width} × {image.height} px, found "
            f"{outside:.0%} of them outside: {spans}. {cause or _likely_cause(xy, image, size, tolerance, factors)}"
        )
    warnings = [other_size] if other_size else []
    if _fills_little(xy, image.scale, size):
        warnings += [
            f"The spots fill little of the {image.source} image of {image.width} × {image.height} px: {spans}. "
            "If that is not so on the slide, image or scale factor is the wrong one."
        ]
    return warnings


def _spans(xy: np.ndarray, image: ImageChoice) -> str:
    """Where on the image the spots lie, in words."""
    (left, top), (right, bottom) = xy.min(axis=0) * image.scale, xy.max(axis=0) * image.scale
    name = "1 (full resolution)" if image.source == FULLRES else f"tissue_{image.source}_scalef {image.scale:.5g}"
    return f"scaled by {name} they span x {left:.0f} to {right:.0f} and y {top:.0f} to {bottom:.0f} px"


def _tiff_size(path: Path) -> tuple[int, int]:
    """Width and height of the largest level of a TIFF, which must hold all the bytes its header promises."""
    import tifffile

    with reading(path, Exception), tifffile.TiffFile(path) as file:  # it stumbles over damaged headers in many ways
        page = file.pages.first  # not of a series, which other files may be part of
        offsets, sizes = page.dataoffsets, page.databytecounts
        width, height = int(page.imagewidth), int(page.imagelength)
        number, largest = _largest_page(file)
    if largest[0] * largest[1] > 2 * width * height:
        raise EfnstError(
            f"Expected the image on the first page of {path.name}, found a thumbnail of {width} × {height} px there "
            f"and the image of {largest[0]} × {largest[1]} px on page {number + 1}: write that page to a file of its "
            f"own, for instance with `vips copy '{path.name}[page={number}]' image.tif[tile,compression=jpeg,bigtiff]`."
        )
    end = max((start + n for start, n in zip(offsets, sizes, strict=False)), default=0)
    if len(offsets) != len(sizes) or end > path.stat().st_size:
        raise damaged(path, f"it ends after {path.stat().st_size} of at least {end} bytes")
    if not width * height:
        raise damaged(path, f"an image of {width} × {height} px")
    return width, height


def _largest_page(file: "TiffFile") -> tuple[int, tuple[int, int]]:
    """Number, from 0, of the page with most px, and its width and height."""
    sizes = [(int(page.imagewidth), int(page.imagelength)) for page in file.pages]
    number = max(range(len(sizes)), key=lambda page: sizes[page][0] * sizes[page][1])
    return number, sizes[number]


def implied_size(choice: ImageChoice, section: Source) -> ImpliedSize | None:
    """The size of the image that Space Ranger had by the section's own ones, where a full-resolution one is given."""
    for kind, picture in section.pictures.items() if choice.source == FULLRES else ():
        scale = section.factors.get(f"tissue_{kind}_scalef")
        if scale is not None:
            return ImpliedSize(kind, round(picture.width / scale), round(picture.height / scale))
    return None


def _other_size(image: ImageChoice, implied: ImpliedSize) -> str:
    """What to do about a full-resolution image that has not the implied size; empty where it has."""
    across, down = image.width / implied.width, image.height / implied.height
    if max(abs(across - 1), abs(down - 1)) <= SIZE_TOLERANCE:
        return ""
    said = (
        f"The image given has {image.width} × {image.height} px, but by the {implied.by} image Space Ranger had one of "
        f"about {implied.width} × {implied.height} px"
    )
    if abs(across / down - 1) > SIZE_TOLERANCE:
        return f"{said}: make sure that it is the same image, neither cut nor turned."
    return (
        f"{said}: it seems to be a {'smaller' if across < 1 else 'larger'} copy, with {across:.3g} times the width and "
        "height. Give the file that Space Ranger was given as --image, or leave the column image empty for the "
        f"{implied.by} image."
    )


def _factor_like(image: ImageChoice, implied: ImpliedSize, factors: dict[str, float]) -> str:
    """Which picture of the section a full-resolution image is as large as, by the implied size."""
    ratios = np.array([image.width / implied.width, image.height / implied.height])
    for name in ("tissue_hires_scalef", "tissue_lowres_scalef"):
        if name in factors and (abs(ratios / factors[name] - 1) <= SIZE_TOLERANCE).all():
            return f"Scaled by {name} {factors[name]:.5g} they fit. "
    return ""


def _check_two_images(source: Source) -> list[str]:
    """Warnings: only lowres, or hires and lowres whose sizes and scale factors contradict each other."""
    held = source.pictures
    if "hires" not in held:
        return [
            f"Only the lowres image of {held['lowres'].width} × {held['lowres'].height} px was found: "
            "its features will be weak. Give the full-resolution file in the column image, "
            f"or add {source.names.hires}."
        ]
    hires, lowres = (source.factors.get(f"tissue_{kind}_scalef") for kind in ("hires", "lowres"))
    if "lowres" not in held or hires is None or lowres is None:
        return []
    by_size, by_factor = held["hires"].width / held["lowres"].width, hires / lowres
    if abs(by_size / by_factor - 1) <= SIZE_TOLERANCE:
        return []
    return [
        f"The hires image is {by_size:.2f} times as wide as the lowres one, but tissue_hires_scalef is "
        f"{by_factor:.2f} times tissue_lowres_scalef: one of the scale factors or images is the wrong one."
    ]


def _share_outside(xy: np.ndarray, scale: float, size: np.ndarray, tolerance_px: float) -> float:
    """Share of spots outside an image of `size` (width, height); the tolerance is in full-resolution px."""
    scaled, margin = xy * scale, tolerance_px * scale
    return float(((scaled < -margin) | (scaled > size + margin)).any(axis=1).mean())


def _likely_cause(
    xy: np.ndarray, image: ImageChoice, size: np.ndarray, tolerance_px: float, factors: dict[str, float]
) -> str:
    """What to check: the scale factor that would fit best, exchanged axes, or the image itself."""
    if _share_outside(xy[:, ::-1], image.scale, size, tolerance_px) <= MAX_OUTSIDE:
        return "With x and y exchanged they fit: check the order of the last two columns of the positions."
    others = {name: factors[name] for name in ("tissue_hires_scalef", "tissue_lowres_scalef") if name in factors}
    others["1 (full resolution)"] = 1.0
    fitting = {
        name: value
        for name, value in others.items()
        if value != image.scale
        and _share_outside(xy, value, size, tolerance_px) <= MAX_OUTSIDE
        and not _fills_little(xy, value, size)
    }
    if fitting:
        name = max(fitting, key=fitting.get)
        shown = name if fitting[name] == 1 else f"{name} {fitting[name]:.5g}"
        return f"Scaled by {shown} they fit: scale factors or images have been exchanged; take both from the same run."
    return "No scale factor of the section fits: it is wrong, or image and positions are of different sections."


def _fills_little(xy: np.ndarray, scale: float, size: np.ndarray) -> bool:
    """Whether the spots span less than `MIN_EXTENT` of the image in both directions, as with a scale far too small."""
    return bool((np.ptp(xy, axis=0) * scale < MIN_EXTENT * size).all())
