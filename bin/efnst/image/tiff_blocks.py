"""TIFF pages that libvips does not read, or not within bounds: JPEG 2000, tiles of one colour each, and NDPI.

An NDPI slide is a single JPEG stream, often larger than JPEG allows; tifffile takes the intervals between its restart
markers, whose places the file lists, for tiles.
"""

import struct
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from efnst.errors import EfnstError
from efnst.image.tiff_plain import FORMATS, SEPARATE

APERIO_YCBCR = 33003
JPEG_2000 = (APERIO_YCBCR, 33004, 33005, 34712)  # values of the TIFF tag Compression
PACKED = (1, 5, 8, 32946)  # none, LZW and both kinds of deflate
YCBCR = 6
COLOURS = {1: "b-w", 2: "srgb", 5: "cmyk", YCBCR: "srgb"}  # interpretation by the TIFF tag PhotometricInterpretation
N_COLOURS = {0: 1, 1: 1, 2: 3, 5: 4, YCBCR: 3}  # bands that are colours by the same tag
TRANSPARENCY = {1, 2}  # values of the TIFF tag ExtraSamples
CODESTREAM = b"\xff\x4f\xff\x51"  # the markers SOC and SIZ, with which a JPEG 2000 codestream begins
SIZE_BYTES = 40  # of a codestream up to its number of components
HEADER_BYTES = 2**16  # of a compressed block, at most
JP2_START = b"\0\0\0\x0cjP  "


class DamagedBlockError(Exception):
    """A strip or tile that cannot be decoded; the text says what was found."""


def needs_blocks(page: tifffile.TiffPage) -> bool:
    """Whether a page is one of those that `BlockTiff` reads and libvips does not."""
    is_split = page.is_tiled and page.planarconfig == SEPARATE and page.samplesperpixel > 1
    return int(page.compression) in JPEG_2000 or is_split or page.jpegheader is not None


def is_readable(page: tifffile.TiffPage) -> bool:
    """Whether `BlockTiff` knows the page's compression, depth and colours."""
    compression, has_luma = int(page.compression), page.photometric == YCBCR
    is_known = page.jpegheader is not None or compression in JPEG_2000 or (compression in PACKED and not has_luma)
    return is_known and page.bitspersample in FORMATS and page.photometric in COLOURS


def shown_bands(page: tifffile.TiffPage) -> int:
    """Bands of a page that are colours or transparency, without a further one of which the page does not say what."""
    n_colours = N_COLOURS.get(int(page.photometric))
    is_other = page.samplesperpixel - 1 == n_colours and TRANSPARENCY.isdisjoint(page.extrasamples)
    return n_colours if is_other else page.samplesperpixel


def block_size(page: tifffile.TiffPage) -> tuple[int, int]:
    """Height and width in px of a page's tiles, or of its strips."""
    if page.is_tiled:
        return page.tilelength, page.tilewidth
    return min(page.rowsperstrip, page.imagelength), page.imagewidth


def _places(pages: Sequence[tifffile.TiffPage], expected: int) -> list[tuple[int, int]]:
    """Offset and length of each block in the file; they lie plane by plane, in a page as in pages."""
    places = [place for page in pages for place in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if len(places) != expected:
        raise DamagedBlockError(f"{len(places)} of {expected} strips or tiles")
    return places


class BlockTiff:
    """A page, or pages that are the channels of one image, decoded a row of strips or tiles at a time.

    Width, height, bands, format and interpretation are named and valued as those of a pyvips image. The last row of
    blocks is kept, so that rows asked for from top to bottom are decoded once.
    """

    def __init__(self, path: Path, pages: Sequence[tifffile.TiffPage]) -> None:
        page = pages[0]
        if any((other.shape, other.compression) != (page.shape, page.compression) for other in pages):
            raise EfnstError(f"Expected the channels of `{path.name}` to be alike, found pages that differ.")
        self.path, self._compression = path, int(page.compression)
        tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
        self._decode_block, self._per_page = partial(page.decode, **tables), len(page.dataoffsets)
        self.width, self.height = page.imagewidth, page.imagelength
        self._n_bands = page.samplesperpixel if len(pages) == 1 else len(pages)
        self.bands = shown_bands(page) if len(pages) == 1 else len(pages)
        self.format = FORMATS[page.bitspersample]
        self.interpretation = COLOURS[page.photometric] if len(pages) == 1 else "srgb"
        self._n_planes = self._n_bands if len(pages) > 1 or page.planarconfig == SEPARATE else 1
        self._block_height, self._block_width = block_size(page)
        self._n_across = -(-self.width // self._block_width)
        self._n_down = -(-self.height // self._block_height)
        self._places = _places(pages, self._n_planes * self._n_down * self._n_across)
        self._dtype = np.dtype(f"u{page.bitspersample // 8}")
        block_values = self._block_height * self._block_width * (self._n_bands // self._n_planes)
        self._most_bytes = 2 * block_values * self._dtype.itemsize + HEADER_BYTES  # nothing is compressed to more
        self._held, self._band = -1, np.empty(0)

    def rows(self, first: int, last: int) -> np.ndarray:
        """Rows [first, last), uint8 or uint16 [last - first, width, bands]. Raises a `DamagedBlockError`."""
        height = self._block_height
        pieces = []
        for row in range(first // height, -(-last // height)):
            if row != self._held:
                self._held, self._band = row, self._decode(row)
            pieces.append(self._band[max(first - row * height, 0) : last - row * height, :, : self.bands])
        return np.concatenate(pieces)

    def _decode(self, row: int) -> np.ndarray:
        """A row of blocks, [height of a block or what is left, width, bands]."""
        height = min(self._block_height, self.height - row * self._block_height)
        per_plane = self._n_bands // self._n_planes
        band = np.empty((height, self.width, self._n_bands), self._dtype)
        with self.path.open("rb") as file:
            for plane, column in np.ndindex(self._n_planes, self._n_across):
                number = (plane * self._n_down + row) * self._n_across + column
                left, first_band = column * self._block_width, plane * per_plane
                width = min(self._block_width, self.width - left)
                block = self._block(file, number)
                is_whole = block.shape[0] >= height and block.shape[1] >= width and block.shape[2] == per_plane
                if not is_whole or block.dtype != self._dtype:
                    raise DamagedBlockError(f"a strip or tile of {block.shape} values of {block.dtype}")
                band[:, left : left + width, first_band : first_band + per_plane] = block[:height, :width]
        return band

    def _block(self, file: BinaryIO, number: int) -> np.ndarray:
        """A strip or tile, [height, width, bands of a plane]."""
        offset, n_bytes = self._places[number]
        if offset < 0 or not 0 < n_bytes <= self._most_bytes:
            raise DamagedBlockError(f"strip or tile {number} of {n_bytes} bytes at {offset}")
        file.seek(offset)
        data = file.read(n_bytes)
        if len(data) < n_bytes:
            raise DamagedBlockError(f"{len(data)} of {n_bytes} bytes of strip or tile {number}")
        try:
            if self._compression in JPEG_2000:
                return self._jpeg_2000(data)
            block, _, _ = self._decode_block(data, number % self._per_page)
            return block[0]
        except (RuntimeError, ValueError) as error:  # what imagecodecs and tifffile raise on a damaged block
            raise DamagedBlockError(f"strip or tile {number}: {error}") from error

    def _jpeg_2000(self, data: bytes) -> np.ndarray:
        """A block in JPEG 2000, whose own header must not promise more than the page does."""
        width, height, bands = codestream_size(data)
        if width > self._block_width or height > self._block_height or bands * self._n_planes != self._n_bands:
            raise DamagedBlockError(f"a codestream of {width} × {height} px in {bands} bands")
        block = imagecodecs.jpeg2k_decode(data)
        if self._compression == APERIO_YCBCR and bands == 3 and not _is_subsampled(data):
            block = np.asarray(Image.fromarray(block, "YCbCr").convert("RGB"))
        return block.reshape(height, width, bands)


def codestream_size(data: bytes) -> tuple[int, int, int]:
    """Width, height and number of bands that a JPEG 2000 codestream, by itself or in JP2's boxes, says it has."""
    start = _codestream_start(data)
    header = data[start : start + SIZE_BYTES + 2]
    if not header.startswith(CODESTREAM) or len(header) < SIZE_BYTES + 2:
        raise DamagedBlockError(f"a JPEG 2000 stream that begins with {data[:12]!r}")
    right, bottom, left, top = struct.unpack(">4I", header[8:24])
    return right - left, bottom - top, struct.unpack(">H", header[SIZE_BYTES:])[0]


def _codestream_start(data: bytes) -> int:
    """Where the codestream begins: at once, or in the box jp2c of JP2 (ISO 15444-1, annex I)."""
    position = 0
    while data.startswith(JP2_START) and position + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        if kind == b"jp2c":
            return position + (16 if length == 1 else 8)
        if length < 8:
            break
        position += length
    return 0


def _is_subsampled(data: bytes) -> bool:
    """Whether the second band has fewer columns than the first: OpenJPEG then takes YCbCr for granted, and converts."""
    bands = _codestream_start(data) + SIZE_BYTES + 2  # depth, step across and step down of each, a byte each
    return data[bands + 3 + 1] > 1
