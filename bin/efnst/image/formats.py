"""Which formats of image files are read: by their first bytes, whatever they are called, and what is said of others."""

from pathlib import Path

from efnst.errors import EfnstError

SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "tiff"),
}
START_BYTES = 12
ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".btf", ".svs", ".ndpi", ".scn", ".qptiff")
OTHERS = {
    b"ZISRAWFILE": "Zeiss CZI",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"RIFF": "WebP",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"%PDF": "PDF",
}
IN_PARTS = {".vsi": "Olympus VSI", ".mrxs": "3DHISTECH MRXS"}  # by themselves a TIFF or JPEG of something small
CONVERT = (
    "Convert it to a tiled TIFF with JPEG, LZW or deflate compression, for instance with QuPath "
    "(Export images, OME-TIFF) or `vips tiffsave --tile`."
)

GIVE_H_AND_E = "Give the H&E image, not one of fluorescence"


def first_bytes(path: Path) -> bytes:
    """What tells the format of a file."""
    with path.open("rb") as file:
        return file.read(START_BYTES)


def kind_of(path: Path, start: bytes) -> str:
    """`tiff`, `jpeg` or `png` by the first bytes of a file; empty where they are those of a damaged one, or none.

    Raises an `EfnstError` that says how to convert an image of another format.
    """
    if path.suffix.lower() in IN_PARTS:
        raise _not_read(path, f"a slide whose pixels lie in files beside it ({IN_PARTS[path.suffix.lower()]})")
    for signature, kind in SIGNATURES.items():
        if start.startswith(signature):
            return kind
    name = next((name for signature, name in OTHERS.items() if start.startswith(signature)), "")
    if start and (name or path.suffix.lower() not in ENDINGS):
        raise _not_read(path, begins(start) + (f" ({name})" if name else ""))
    return ""


def begins(start: bytes) -> str:
    """What a file that is no image was found to be."""
    return f"a file that begins with {start[:8]!r}" if start else "an empty file"


def _not_read(path: Path, found: str) -> EfnstError:
    return EfnstError(
        f"Expected `{path.name}` to be a readable image (TIFF, also as SVS or NDPI, JPEG or PNG), found: {found}. "
        f"{CONVERT}"
    )
