"""Reading H&E images as 8-bit RGB rows from top to bottom, with memory bounded by a band of rows."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyvips

from efnst.errors import EfnstError
from efnst.image.formats import GIVE_H_AND_E
from efnst.image.open import ReadInPieces, image_errors, open_image

BLOCK_ROWS = 64
BIT_DEPTHS = (8, 10, 12, 14, 16)  # what cameras and scanners deliver in containers of 16 bits


class RowReader:
    """An image as 8-bit RGB rows, decoded once from top to bottom; only the rows asked for are kept.

    Grey and CMYK images become RGB, transparent pixels become white. 16 bits become 8: the depth of the data is the
    smallest of `BIT_DEPTHS` that holds the largest value of the image, found in a pass of its own, and the highest 8
    of these bits are kept. So 12-bit data in 16-bit containers does not turn out black. Glass is bright in every
    H&E image, so that the largest value stands for the range.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with image_errors(path):
            image = open_image(path)
            _check_channels(path, image)
            depths = _bit_depths(open_image(path)) if image.format == "ushort" else []
            self._fetch = _fetcher(image, depths)
        self.width, self.height = image.width, image.height
        self._top, self._end = 0, 0  # rows of the image that the buffer holds: [_top, _end), from its first row on
        self._first = 0
        self._buffer = np.empty((0, self.width, 3), np.uint8)

    def rows(self, first: int, last: int) -> np.ndarray:
        """uint8 rows [first, last) of the image, [last - first, width, 3]; `first` must not fall between calls.

        The array is a view that the next call may overwrite.
        """
        if first < self._first:
            raise ValueError(f"Expected rows in rising order, found {first} after {self._first}.")
        self._first = first
        if last > self._top + len(self._buffer):
            self._make_room(first, last)
        for start in range(self._end, last, BLOCK_ROWS):
            self._decode(start, min(start + BLOCK_ROWS, last))
        return self._buffer[first - self._top : last - self._top]

    def _make_room(self, first: int, last: int) -> None:
        """Move the rows from `first` on to the start of the buffer; a new one is half as high again as is needed.

        The spare half makes moving rare.
        """
        kept = self._buffer[first - self._top : max(self._end - self._top, 0)]
        height = min(max((last - first) * 3 // 2, BLOCK_ROWS), self.height)
        buffer = self._buffer if len(self._buffer) >= last - first else np.empty((height, self.width, 3), np.uint8)
        buffer[: len(kept)] = kept
        self._buffer, self._top = buffer, first

    def _decode(self, first: int, last: int) -> None:
        """Decode rows [first, last), the next ones, into the buffer."""
        with image_errors(self.path):
            rows = self._fetch(first, last)
        skipped = min(max(self._top - first, 0), len(rows))
        self._buffer[max(first - self._top, 0) : max(last - self._top, 0)] = rows[skipped:]
        self._end = last


def is_read_as_it_is(path: Path) -> bool:
    """Whether libvips by itself gives the same picture: 8 bits, all colours on one page, strips that it can hold."""
    image = open_image(path)
    if isinstance(image, ReadInPieces) or image.format != "uchar":
        return False
    with image_errors(path):
        return image.bands == pyvips.Image.new_from_file(str(path)).bands


def shrunk(path: Path, longest_px: int) -> np.ndarray:
    """The image averaged down by a whole factor to less than twice `longest_px` a side, uint8 [height, width, 3]."""
    reader = RowReader(path)
    factor = max(max(reader.width, reader.height) // longest_px, 1)
    height, width = max(reader.height // factor, 1), max(reader.width // factor, 1)
    small = np.empty((height, width, 3), np.uint8)
    n_rows, n_columns = min(factor, reader.height), min(factor, reader.width)
    for row in range(height):
        band = reader.rows(row * factor, row * factor + n_rows)[:, : width * n_columns]
        columns = band.sum(axis=0, dtype=np.uint32).reshape(width, n_columns, 3).sum(axis=1)
        small[row] = columns // (n_rows * n_columns)
    return small


def _fetcher(image: pyvips.Image | ReadInPieces, depths: list[int]) -> Callable[[int, int], np.ndarray]:
    """A function that gives rows [first, last) of the image as uint8 [last - first, width, 3]."""
    if isinstance(image, ReadInPieces):
        return lambda first, last: _rgb8(_as_image(image, first, last), depths).numpy()
    region, width = pyvips.Region.new(_rgb8(image, depths)), image.width

    def fetch(first: int, last: int) -> np.ndarray:
        data = region.fetch(0, first, width, last - first)
        return np.frombuffer(data, np.uint8).reshape(last - first, width, 3)

    return fetch


def _as_image(pieces: ReadInPieces, first: int, last: int) -> pyvips.Image:
    """Rows [first, last) of what libvips does not read."""
    return pyvips.Image.new_from_array(pieces.rows(first, last), interpretation=pieces.interpretation)


def _check_channels(path: Path, image: pyvips.Image | ReadInPieces) -> None:
    """Refuse pixels that are no colours."""
    if image.bands > _n_colours(image) + 1:
        raise EfnstError(
            f"Expected `{path.name}` to be grey, RGB or CMYK with or without transparency, found {image.bands} "
            f"channels. {GIVE_H_AND_E}."
        )


def _n_colours(image: pyvips.Image | ReadInPieces) -> int:
    """Channels without transparency."""
    if image.interpretation == "cmyk":
        return 4
    return 1 if image.bands < 3 else 3


def _bit_depths(image: pyvips.Image | ReadInPieces) -> list[int]:
    """Bit depths of the colours and, where there is one, of the transparency of a 16-bit image, from its values."""
    largest, n_colours = _largest(image), _n_colours(image)
    parts = [part.max() for part in (largest[:n_colours], largest[n_colours:]) if len(part)]
    return [bit_depth(value) for value in parts]


def bit_depth(largest: float) -> int:
    """The bit depth of an image by its largest value, below 2^16."""
    return next(depth for depth in BIT_DEPTHS if largest < 2**depth)


def _largest(image: pyvips.Image | ReadInPieces) -> np.ndarray:
    """The largest value of each band."""
    if isinstance(image, ReadInPieces):
        starts = range(0, image.height, BLOCK_ROWS)
        pieces = (image.rows(start, min(start + BLOCK_ROWS, image.height)) for start in starts)
        return np.max([piece.max((0, 1)) for piece in pieces], axis=0)
    return image.stats().numpy()[1:, 1]  # a row for all bands, then one for each; the second column is the maximum


def _rgb8(image: pyvips.Image, depths: list[int]) -> pyvips.Image:
    """`image` as 8-bit sRGB without transparency; `depths` are those of `_bit_depths`, empty for 8 bits."""
    n_colours = _n_colours(image)
    parts = [image.extract_band(0, n=n_colours)]
    if image.bands > n_colours:
        parts.append(image.extract_band(n_colours))
    if depths:
        parts = [(part >> (depth - 8)).cast("uchar") for part, depth in zip(parts, depths, strict=True)]
    space = {1: "b-w", 3: "srgb", 4: "cmyk"}[n_colours]
    colours = parts[0].copy(interpretation=space).colourspace("srgb")
    return colours.bandjoin(parts[1]).flatten(background=[255]).cast("uchar") if len(parts) > 1 else colours
