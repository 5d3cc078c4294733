"""Opening image files: limits that no sound section reaches, so that a hostile or unsuitable file ends in an error."""

import math
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyvips
import tifffile

from efnst.errors import EfnstError, require_ordinary
from efnst.image.formats import CONVERT, begins, first_bytes, kind_of
from efnst.image.tiff_blocks import (
    JPEG_2000,
    PACKED,
    YCBCR,
    BlockTiff,
    DamagedBlockError,
    block_size,
    is_readable,
    needs_blocks,
    shown_bands,
)
from efnst.image.tiff_plain import PlainTiff, is_plain
from efnst.machine import require_readable

MAX_SIDE_PX = 300_000  # a whole slide, 75 mm long, at 0.25 µm per px
MAX_PX = 20_000_000_000  # twice 100,000 × 100,000 px, which is a capture area of 11 mm at 0.11 µm per px
MAX_WHOLE_PX = 150_000_000  # interlaced files are held as a whole while they are decoded, in up to 6 bytes per px
MAX_BLOCK_BYTES = 512 * 2**20  # a strip, or a row of tiles, is decoded as a whole: 1,700 rows of 100,000 RGB px
PLAIN_BLOCK_BYTES = 64 * 2**20  # uncompressed strips larger than this are read piece by piece
MAX_JPEG_2000_BYTES = 64 * 2**20  # a block of it, for which its decoder takes several times as much
MAX_BLOCKS = 4_000_000  # strips and tiles of a page: 100,000 × 100,000 px in tiles of 64 px are 2.4 million
MAX_PX_PER_BYTE = 500  # H&E takes at least a byte for 200 px, blank glass included; a decompression bomb much less
HARMLESS_PX = 50_000_000  # smaller images may be as empty as they like
# libjpeg calls it a warning when the pixels end too early or make no sense, and with `truncated` missing tiles of a
# TIFF would become black with no more than one; in PNG, where damage is an error, warnings are of colour profiles and
# the like.
FAIL_ON = {"jpeg": "warning", "tiff": "warning", "png": "truncated"}
JPEG = (6, 7)  # values of the TIFF tag Compression; YCbCr becomes RGB as it is decoded
COMPRESSIONS = (*PACKED, 2, 3, 4, *JPEG, 32773, 50001, *JPEG_2000)  # also fax, PackBits and WebP
NOT_READ = {
    **dict.fromkeys((22610, 34934, 48124), "JPEG XR"),
    **dict.fromkeys((50002, 52546), "JPEG XL"),
    **dict.fromkeys((34926, 50000), "Zstandard"),
    34925: "LZMA",
}
PLAIN_COLOURS = (0, 1, 2, 3, 5)  # TIFF tag PhotometricInterpretation: grey, RGB, palette and CMYK, in any compression
UNSIGNED = 1  # value of the TIFF tag SampleFormat
ReadInPieces = PlainTiff | BlockTiff  # what libvips does not read, or not within bounds


@contextmanager
def image_errors(path: Path) -> Iterator[None]:
    """Turn the errors of libvips and `BlockTiff` on the image `path` into an `EfnstError`."""
    try:
        yield
    except (pyvips.Error, DamagedBlockError) as error:
        require_readable(path)
        detail = " ".join(str(error).split())[:300]
        raise _unreadable(path, detail) from error


def open_image(path: Path) -> pyvips.Image | ReadInPieces:
    """The first page of the image `path`, to be decoded once from top to bottom in memory bounded by the limits above.

    TIFF (also BigTIFF, OME-TIFF, SVS, NDPI), JPEG and PNG. Three grey pages that are the channels of one image become
    RGB. Decoding fails where the file is damaged or breaks off. Raises an `EfnstError` that names the file.
    """
    kind = image_kind(path)
    with image_errors(path):
        if kind == "tiff":
            return _open_tiff(path)
        if kind == "png":  # libvips refuses rows that are too long without saying so
            _check_size(path, *_png_size(path))
        image = _open(path, kind)
    _check_size(path, image.width, image.height)
    _check_interlaced(path, image)
    return image


def _check_interlaced(path: Path, image: pyvips.Image) -> None:
    """Refuse a large image that has to be decoded as a whole, for which libvips has a field in each format."""
    is_whole = any(image.get_typeof(name) != 0 and image.get(name) for name in ("jpeg-multiscan", "interlaced"))
    if is_whole and image.width * image.height > MAX_WHOLE_PX:
        found = f"an interlaced image of {image.width} × {image.height} px"
        raise _too_much(path, found, f"{MAX_WHOLE_PX} px for images that are decoded as a whole")


def image_kind(path: Path) -> str:
    """`tiff`, `jpeg` or `png` by the first bytes; libvips would also take formats that are programs, such as SVG."""
    require_ordinary(path)
    try:
        start = first_bytes(path)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    kind = kind_of(path, start)
    if not kind:
        raise _unreadable(path, begins(start))
    return kind


def _png_size(path: Path) -> tuple[int, int]:
    """Width and height by the first chunk, which has a fixed place."""
    with path.open("rb") as file:
        header = file.read(24)
    if len(header) < 24:
        raise _unreadable(path, f"a file of {len(header)} bytes")
    return struct.unpack(">II", header[16:])


def _unreadable(path: Path, found: str) -> EfnstError:
    return EfnstError(
        f"Expected `{path.name}` to be a readable image (TIFF, JPEG or PNG), found: {found}. "
        "Is the file complete? Copy it again, or give another one."
    )


def _too_much(path: Path, found: str, limit: str) -> EfnstError:
    return EfnstError(f"Expected `{path.name}` to stay below {limit}, found {found}. {CONVERT}")


def _check_size(path: Path, width: int, height: int) -> None:
    """Refuse dimensions that no section has, or that the file is much too small for."""
    size = f"an image of {width} × {height} px"
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_PX:
        raise _unreadable(path, f"{size}, where at most {MAX_SIDE_PX} px a side and {MAX_PX} px in all are read")
    n_bytes = path.stat().st_size
    if width * height > max(HARMLESS_PX, n_bytes * MAX_PX_PER_BYTE):
        raise _unreadable(path, f"{size} in {n_bytes} bytes")


def _open(path: Path, kind: str, page: int = 0) -> pyvips.Image:
    options = {"page": page} if page else {}
    return pyvips.Image.new_from_file(str(path), access="sequential", fail_on=FAIL_ON[kind], **options)


def _open_tiff(path: Path) -> pyvips.Image | ReadInPieces:
    """The first page of a TIFF, or its first three where they are the channels of one image."""
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            _check_page(path, page)
            if is_plain(page) and _block_bytes(page) > PLAIN_BLOCK_BYTES:
                return _plain(path, page)
            n_channels = _n_channels(page.description) if page.samplesperpixel == 1 else 1
            if n_channels not in (1, 3):
                raise _unreadable(path, f"an image of {n_channels} separate channels, which is no H&E image")
            if needs_blocks(page):
                return BlockTiff(path, [file.pages[number] for number in range(n_channels)])
            n_shown, n_bands = shown_bands(page), page.samplesperpixel
    except (EfnstError, DamagedBlockError):
        raise
    except Exception as error:  # whatever tifffile stumbles on in a damaged header
        raise _unreadable(path, f"a damaged TIFF header ({type(error).__name__}: {error})"[:300]) from error
    planes = [_open(path, "tiff", page) for page in range(n_channels)]
    if len(planes) > 1:
        return planes[0].bandjoin(planes[1:]).copy(interpretation="srgb")
    return planes[0].extract_band(0, n=n_shown) if n_shown < n_bands == planes[0].bands else planes[0]


def _check_page(path: Path, page: tifffile.TiffPage) -> None:
    """Refuse a page whose compression or colours are not read or whose size or blocks are out of all proportion."""
    _check_size(path, page.imagewidth, page.imagelength)
    compression, photometric = int(page.compression), int(page.photometric)
    if needs_blocks(page) and not is_readable(page):
        found = f"{page.compression.name}, {page.photometric.name}, {page.bitspersample} bits, {page.planarconfig.name}"
        raise EfnstError(f"Expected `{path.name}` in a layout that is read, found {found}. {CONVERT}")
    if compression not in COMPRESSIONS:
        name = NOT_READ.get(compression, f"{_named(page.compression)} (number {compression} of the tag)")
        raise EfnstError(f"Expected `{path.name}` in a compression that is read, found {name}. {CONVERT}")
    if photometric not in PLAIN_COLOURS and not (photometric == YCBCR and compression in (*JPEG, *JPEG_2000)):
        found = f"{_named(page.photometric)} with the compression {_named(page.compression)}"
        raise EfnstError(f"Expected `{path.name}` in grey, RGB or CMYK, found {found}. {CONVERT}")
    if page.sampleformat != UNSIGNED or page.bitspersample > 16:
        raise EfnstError(
            f"Expected `{path.name}` to have whole numbers of up to 16 bits as pixels, found {page.dtype}. "
            "Convert it to 8 bits per channel, glass near 255."
        )
    _check_blocks(path, page)


def _named(value: int) -> str:
    """A value of a TIFF tag as tifffile names it, where it does."""
    return getattr(value, "name", str(value))


def _check_blocks(path: Path, page: tifffile.TiffPage) -> None:
    """Refuse strips or tiles too many or too large to be decoded in bounded memory."""
    if len(page.dataoffsets) > MAX_BLOCKS:
        raise _too_much(path, f"{len(page.dataoffsets)} strips or tiles", f"{MAX_BLOCKS} strips and tiles")
    if _block_bytes(page) > MAX_BLOCK_BYTES and not is_plain(page):
        kind = "rows of tiles" if page.is_tiled else "strips"
        found = f"{kind} of {_block_bytes(page) / 1e6:.0f} MB"
        raise _too_much(path, found, f"{MAX_BLOCK_BYTES / 1e6:.0f} MB for what is decoded at once")
    one_block = math.prod(block_size(page)) * _px_bytes(page)
    if int(page.compression) in JPEG_2000 and one_block > MAX_JPEG_2000_BYTES:
        limit = f"{MAX_JPEG_2000_BYTES / 1e6:.0f} MB for a block of JPEG 2000"
        raise _too_much(path, f"{one_block / 1e6:.0f} MB", limit)


def _block_bytes(page: tifffile.TiffPage) -> int:
    """Decoded bytes of a strip or a row of tiles, all samples together, which is what libvips keeps."""
    height, width = block_size(page)
    return height * -(-page.imagewidth // width) * width * _px_bytes(page)


def _px_bytes(page: tifffile.TiffPage) -> int:
    """Decoded bytes of a pixel."""
    return page.samplesperpixel * -(-page.bitspersample // 8)


def _plain(path: Path, page: tifffile.TiffPage) -> PlainTiff:
    """A plain page, all of which must be in the file."""
    image = PlainTiff(path, page)
    if image.end > path.stat().st_size:
        raise _unreadable(path, f"{path.stat().st_size} of {image.end} bytes")
    return image


def _n_channels(description: str) -> int:
    """Number of pages that are the channels of one image, by the description of OME-TIFF or ImageJ; otherwise 1."""
    if description.startswith("ImageJ="):
        numbers = dict(re.findall(r"^(channels|slices|frames)=(\d+)\s*$", description, re.MULTILINE))
        sizes = [int(numbers.get(name, 1)) for name in ("channels", "slices", "frames")]
    else:
        pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", description)
        found = dict(re.findall(r'\bSize([CZT])="(\d+)"', pixels[0])) if pixels else {}
        sizes = [int(found.get(axis, 1)) for axis in "CZT"]
    return sizes[0] if sizes[1:] == [1, 1] else 1
