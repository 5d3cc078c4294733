"""Files of images as slide scanners write them, all of one picture."""

import io
import struct
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from efnst.image.rows import RowReader

HEIGHT, WIDTH = 300, 260
TILE = 128


def picture() -> np.ndarray:
    """A smooth picture, which JPEG changes little, uint8 [HEIGHT, WIDTH, 3]."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([200 - y // 3, 80 + x // 2, 120 + (x + y) // 6], axis=2).astype(np.uint8)


def whole(path: Path) -> np.ndarray:
    """All rows, asked for in bands as patches.py does."""
    reader = RowReader(path)
    bands = [reader.rows(first, min(first + 70, reader.height)).copy() for first in range(0, reader.height, 70)]
    return np.concatenate(bands)


def tiles() -> list[np.ndarray]:
    """The picture in tiles of TILE × TILE px, row by row; the border fills the last ones."""
    padded = np.pad(picture(), [(0, -HEIGHT % TILE), (0, -WIDTH % TILE), (0, 0)], mode="edge")
    rows, columns = range(0, padded.shape[0], TILE), range(0, padded.shape[1], TILE)
    return [padded[y : y + TILE, x : x + TILE] for y in rows for x in columns]


def jpeg(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "jpeg", quality=95, subsampling=0)
    return stream.getvalue()


def write_tiff(
    path: Path, blocks: list[bytes], layout: list[tuple[int, str, list[int]]], *, ndpi: bool = False
) -> None:
    """A little-endian TIFF of one page: its strips or tiles as they are, and tags (code, struct format, values).

    The offsets and lengths of the blocks become the tags 324 and 325 of tiles, or 273 and 279 of strips. In NDPI the
    offsets of directories have eight bytes, and the upper halves of all values follow.
    """
    offsets = (12 if ndpi else 8) + np.cumsum([0, *map(len, blocks)])
    codes = (324, 325) if any(code == 322 for code, _, _ in layout) else (273, 279)
    places = [(codes[0], "I", offsets[:-1].tolist()), (codes[1], "I", [len(block) for block in blocks])]
    tags = sorted([*layout, *places])
    values_at = int(offsets[-1])
    entries, values = b"", b""
    for code, kind, numbers in tags:
        data = numbers if isinstance(numbers, bytes) else struct.pack(f"<{len(numbers)}{kind}", *numbers)
        entries += struct.pack("<HHI", code, {"s": 2, "H": 3, "I": 4}[kind], len(numbers))
        entries += data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<I", values_at + len(values))
        values += data if len(data) > 4 else b""
    directory = struct.pack("<H", len(tags)) + entries + bytes(8 + 4 * len(tags) if ndpi else 4)
    header = b"II*\0" + struct.pack("<Q" if ndpi else "<I", values_at + len(values))
    path.write_bytes(header + b"".join(blocks) + values + directory)


def rgb_layout(photometric: int, compression: int) -> list[tuple[int, str, list[int]]]:
    return [
        *((256, "I", [WIDTH]), (257, "I", [HEIGHT]), (258, "H", [8, 8, 8]), (259, "H", [compression])),
        *((262, "H", [photometric]), (277, "H", [3])),
    ]


def write_svs(path: Path, compression: int = 7, blocks: list[bytes] | None = None, photometric: int = 2) -> None:
    """As Aperio writes it: tiles that are JPEG streams, or `blocks`, and a description with the magnification."""
    colours = rgb_layout(photometric if blocks else 6, compression)
    layout = [*colours, (322, "I", [TILE]), (323, "I", [TILE]), (530, "H", [1, 1])]
    description = b"Aperio Image Library v12.0.15\r\n260x300 (128x128) JPEG/RGB Q=95|AppMag = 40|MPP = 0.2522\0"
    write_tiff(path, blocks or [jpeg(tile) for tile in tiles()], [*layout, (270, "s", description)])


def tiff(name: str, folder: Path, pixels: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(folder / name, pixels, **options)
    return folder / name
