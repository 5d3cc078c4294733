"""Opening H&E images and reading them from top to bottom with memory bounded by a band of rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyvips

from efnst.errors import EfnstError

BLOCK_ROWS = 256


@contextmanager
def image_errors(path: Path) -> Iterator[None]:
    """Turn libvips' errors on the image `path` into an `EfnstError`."""
    try:
        yield
    except pyvips.Error as error:
        detail = " ".join(str(error).split())[:300]
        raise EfnstError(
            f"Expected `{path.name}` to be a readable image (TIFF, JPEG or PNG), found: {detail}. "
            "Is the file complete? Copy it again, or give another one."
        ) from error


class RowReader:
    """An image as 8-bit RGB rows, decoded once from top to bottom; only the rows asked for are kept.

    Grey images become RGB, 16 bit become 8 bit, transparent pixels become white.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with image_errors(path):
            image = _rgb8(_open(path))
            self._region = pyvips.Region.new(image)
        self.width, self.height = image.width, image.height
        self._first = 0
        self._rows = np.empty((0, self.width, 3), np.uint8)

    def rows(self, first: int, last: int) -> np.ndarray:
        """uint8 rows [first, last) of the image, [last - first, width, 3]; `first` must not fall between calls."""
        if first < self._first:
            raise ValueError(f"Expected rows in rising order, found {first} after {self._first}.")
        have = self._first + len(self._rows)
        if last > have:
            pieces = [self._rows[max(first - self._first, 0) :]]
            for start in range(have, last, BLOCK_ROWS):
                piece = self._fetch(start, min(start + BLOCK_ROWS, self.height))
                pieces.append(piece[max(first - start, 0) :])
            self._rows = np.concatenate(pieces)
        else:
            self._rows = self._rows[first - self._first :]
        self._first = first
        return self._rows[: last - first]

    def _fetch(self, first: int, last: int) -> np.ndarray:
        """Decode rows [first, last), the next ones."""
        with image_errors(self.path):
            data = self._region.fetch(0, first, self.width, last - first)
        return np.frombuffer(data, np.uint8).reshape(last - first, self.width, 3)


def _open(path: Path) -> pyvips.Image:
    """The image `path`, to be decoded from top to bottom; reading fails where the file breaks off."""
    image = pyvips.Image.new_from_file(str(path), access="sequential", fail_on="truncated")
    if image.get("vips-loader").startswith("tiff"):  # missing tiles become black there, with no more than a warning
        image = pyvips.Image.new_from_file(str(path), access="sequential", fail_on="warning")
    return image


def _rgb8(image: pyvips.Image) -> pyvips.Image:
    """`image` as 8-bit sRGB without alpha."""
    if image.hasalpha():
        image = image.flatten(background=[255 if image.format == "uchar" else 65535])
    return image.colourspace("srgb").cast("uchar")
