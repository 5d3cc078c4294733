"""TIFF pages whose pixels lie in the file as they are, read piece by piece however large their strips are.

tifffile writes one strip for each plane, ImageJ one for each image: gigabytes, which libvips would take as a whole.
"""

from pathlib import Path

import numpy as np
import tifffile

UNCOMPRESSED, MINISBLACK, RGB, SEPARATE = 1, 1, 2, 2  # values of TIFF tags
FORMATS = {8: "uchar", 16: "ushort"}  # libvips' names by bits per sample


def is_plain(page: tifffile.TiffPage) -> bool:
    """Whether a page is grey or RGB, of 8 or 16 bits, uncompressed and without tiles, its strips one after another."""
    is_integer = page.bitspersample in FORMATS and page.sampleformat == 1 and page.samplesperpixel in (1, 3)
    is_colour = page.photometric in (MINISBLACK, RGB)
    return page.compression == UNCOMPRESSED and not page.is_tiled and is_integer and is_colour and page.is_contiguous


class PlainTiff:
    """A plain page; width, height, bands, format and interpretation are named and valued as those of a pyvips image."""

    def __init__(self, path: Path, page: tifffile.TiffPage) -> None:
        self.path = path
        self.width, self.height, self.bands = page.imagewidth, page.imagelength, page.samplesperpixel
        self.format = FORMATS[page.bitspersample]
        self.interpretation = "srgb" if self.bands == 3 else "b-w"
        self._dtype = np.dtype(f"{page.parent.byteorder}u{page.bitspersample // 8}")
        self._start = page.dataoffsets[0]
        self._n_planes = self.bands if page.planarconfig == SEPARATE else 1

    @property
    def end(self) -> int:
        """Bytes that the file must have."""
        return self._start + self.width * self.height * self.bands * self._dtype.itemsize

    def rows(self, first: int, last: int) -> np.ndarray:
        """Rows [first, last), uint8 or uint16 [last - first, width, bands]."""
        planes = [self._plane(plane, first, last) for plane in range(self._n_planes)]
        rows = planes[0] if self._n_planes == 1 else np.concatenate(planes, axis=2)
        return rows.astype(rows.dtype.newbyteorder("="), copy=False)

    def _plane(self, plane: int, first: int, last: int) -> np.ndarray:
        """Rows [first, last) of one plane, [last - first, width, bands of a plane]."""
        bands = self.bands // self._n_planes
        row_items = self.width * bands
        offset = self._start + (plane * self.height + first) * row_items * self._dtype.itemsize
        items = np.fromfile(self.path, self._dtype, (last - first) * row_items, offset=offset)
        return items.reshape(last - first, self.width, bands)
