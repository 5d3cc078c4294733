"""An image of any size shrunk to a small one."""

import logging
from pathlib import Path

import pyvips
from PIL import Image

from efnst.image.open import FAIL_ON, image_errors, image_kind, open_image
from efnst.image.rows import is_read_as_it_is, shrunk

logging.getLogger("pyvips").setLevel(logging.WARNING)  # it reports every step


def thumbnail(path: Path, longest_px: int) -> Image.Image:
    """The image as RGB, shrunk to at most `longest_px` a side while it is decoded, so that memory stays bounded."""
    with image_errors(path):
        open_image(path)  # refuses what is no image of the kinds that are read
        if not is_read_as_it_is(path):
            small = Image.fromarray(shrunk(path, longest_px))
            small.thumbnail((longest_px, longest_px))
            return small
        # Without no_rotate an EXIF orientation would turn the image away from the spots, without fail_on what cannot be
        # decoded would be black.
        options = {"size": "down", "no_rotate": True, "fail_on": FAIL_ON[image_kind(path)]}
        small = pyvips.Image.thumbnail(str(path), longest_px, height=longest_px, **options)
        if small.hasalpha():
            small = small.flatten(background=[255 if small.format == "uchar" else 65535])
        small = small.colourspace("srgb").cast("uchar")
        return Image.frombytes("RGB", (small.width, small.height), small.write_to_memory())
