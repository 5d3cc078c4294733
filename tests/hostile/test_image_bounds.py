"""Files made to exhaust memory or time, and broken ones: an error names each, fast and in little memory."""

import io
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.support.places import PROJECT

from efnst.errors import EfnstError
from efnst.image.open import MAX_PX, MAX_PX_PER_BYTE, MAX_SIDE_PX, open_image
from efnst.image.rows import RowReader

MB_EACH, SECONDS_EACH = 400, 5  # a row of strips of the largest may take up to 100 MB
FILLED_BYTES = 40_000_000

# Reads files to their end and prints for each the error, the seconds and the peak memory of the process so far.
READ = """
import json, resource, sys, time
from pathlib import Path
from efnst.errors import EfnstError
from efnst.image.rows import RowReader

for name in sys.argv[1:]:
    start, message = time.perf_counter(), None
    try:
        reader = RowReader(Path(name))
        for first in range(0, reader.height, 200):
            reader.rows(first, min(first + 200, reader.height))
    except EfnstError as error:
        message = str(error)
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
    print(json.dumps([message, time.perf_counter() - start, int(peak) / 1024]))
"""


def read_elsewhere(*paths: Path) -> list[list]:
    """[error or None, seconds, peak MB] of each file, read in one process of its own."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the memory of a process is read from /proc, which this system has not")
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "bin")}
    done = subprocess.run([sys.executable, "-c", READ, *paths], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def png(width: int, height: int, rows: bytes, interlace: int = 0) -> bytes:
    """A grey PNG that declares any size and holds the raw `rows`."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def jpeg(width: int, height: int, **options: object) -> bytes:
    """A JPEG whose frame header declares another size than it has."""
    stream = io.BytesIO()
    Image.fromarray(noise(64, 64)).save(stream, "jpeg", **options)
    content = bytearray(stream.getvalue())
    frame = content.index(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def tiff(folder: Path, changes: dict[int, int], **options: object) -> bytes:
    """A small TIFF in which the tags `changes` {code: value} have other values."""
    path = folder / "small.tif"
    tifffile.imwrite(path, noise(64, 64), photometric="rgb", **options)
    with tifffile.TiffFile(path, mode="r+b") as file:
        for code, value in changes.items():
            file.pages[0].tags[code].overwrite(value, dtype="I")
    return path.read_bytes()


def with_count(content: bytes, code: int, count: int) -> bytes:
    """A little-endian TIFF in which the first entry of the tag `code` claims `count` values."""
    at = struct.unpack("<I", content[4:8])[0] + 2
    while struct.unpack("<H", content[at : at + 2])[0] != code:
        at += 12
    return content[: at + 4] + struct.pack("<I", count) + content[at + 8 :]


def with_next_page(content: bytes, offset: int) -> bytes:
    """A TIFF whose first page names `offset` as the next page."""
    at = struct.unpack("<I", content[4:8])[0]
    n_tags = struct.unpack("<H", content[at : at + 2])[0]
    end = at + 2 + 12 * n_tags
    return content[:end] + struct.pack("<I", offset) + content[end + 4 :]


def blank_tiff(folder: Path) -> bytes:
    """A TIFF of blank glass in strips that are sound and small."""
    path = folder / "blank.tif"
    tifffile.imwrite(path, np.full((8000, 8000), 255, np.uint8), compression="zlib", rowsperstrip=100)
    return path.read_bytes()


def hostile_files(folder: Path) -> dict[str, bytes]:
    """Names and contents; `filled` ones are padded to be as large as their size demands."""
    billion = 10**9
    tiled = {"tile": (64, 64), "compression": "zlib"}
    return {
        "billion.png": png(billion, billion, bytes(1000)),
        "largest.png": png(2**31 - 1, 2**31 - 1, bytes(1000)),
        "long_row.png": png(billion, 1, bytes(1000)),
        "tall.png": png(1, 2**31 - 1, bytes(1000)),
        "hundred_thousand.png": png(100_000, 100_000, bytes(1000)),
        "filled.png": png(100_000, 100_000, bytes(1000)),
        "filled_interlaced.png": png(100_000, 100_000, bytes(1000), interlace=1),
        "largest.jpg": jpeg(65500, 65500),
        "too_wide.jpg": jpeg(65535, 1),
        "filled.jpg": jpeg(65500, 65500),
        "filled_progressive.jpg": jpeg(65500, 65500, progressive=True),
        "billion.tif": tiff(folder, {256: billion, 257: billion, 278: billion}),
        "billion_tiled.tif": tiff(folder, {256: billion, 257: billion}, **tiled),
        "largest_tile.tif": tiff(folder, {322: 2**30, 323: 2**30}, **tiled),
        "wide_tile.tif": tiff(folder, {322: 2**24}, **tiled),
        "zero_tile.tif": tiff(folder, {322: 0}, **tiled),
        "zero_size.tif": tiff(folder, {256: 0}),
        "zero_rows.tif": tiff(folder, {278: 0}),
        "filled_tiled.tif": tiff(folder, {256: 100_000, 257: 100_000}, **tiled),
        "filled_strips.tif": tiff(folder, {256: 100_000, 257: 100_000, 278: 16}, compression="zlib"),
        "filled_one_strip.tif": tiff(folder, {256: 100_000, 257: 100_000, 278: 100_000}, compression="zlib"),
        "filled_uncompressed.tif": tiff(folder, {256: 100_000, 257: 100_000, 278: 100_000}),
        "many_bits.tif": with_count(tiff(folder, {}), 258, 60000),
        "many_samples.tif": tiff(folder, {277: 65535}),
        "blank.tif": blank_tiff(folder),
        "lost_page.tif": b"II*\0" + struct.pack("<I", 2**31),
        "no_tags.tif": b"II*\0" + struct.pack("<IH", 8, 0) + bytes(4),
    }


def test_hostile_files_end_in_an_error_in_bounded_memory_and_time(tmp_path: Path) -> None:
    files = hostile_files(tmp_path)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        if name.startswith("filled"):
            os.truncate(tmp_path / name, FILLED_BYTES)
    outcomes = read_elsewhere(*(tmp_path / name for name in files))
    assert len(outcomes) == len(files)
    for name, (message, seconds, peak_mb) in zip(files, outcomes, strict=True):
        assert message is not None and f"`{name}`" in message, (name, message)
        assert seconds < SECONDS_EACH and peak_mb < MB_EACH, (name, seconds, peak_mb)


def test_a_chain_of_pages_without_end_and_absurd_counts_of_blocks_do_no_harm(tmp_path: Path) -> None:
    content = tiff(tmp_path, {})
    files = {
        "loop.tif": with_next_page(content, struct.unpack("<I", content[4:8])[0]),
        "strips.tif": with_count(tiff(tmp_path, {}, rowsperstrip=8), 273, 10**9),
        "tiles.tif": with_count(tiff(tmp_path, {}, tile=(16, 16)), 324, 2**32 - 1),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    os.truncate(tmp_path / "tiles.tif", FILLED_BYTES)
    outcomes = read_elsewhere(*(tmp_path / name for name in files))
    for name, (message, seconds, peak_mb) in zip(files, outcomes, strict=True):
        assert message is None or f"`{name}`" in message
        assert seconds < SECONDS_EACH and peak_mb < MB_EACH, (name, seconds, peak_mb)


def test_the_size_of_a_large_capture_area_is_no_attack(tmp_path: Path) -> None:
    assert MAX_SIDE_PX >= 100_000 and MAX_PX >= 100_000**2
    path = tmp_path / "large.tif"
    tile = np.full((512, 512, 3), 255, np.uint8)
    blocks = [zlib.compress(tile.tobytes())] * (196 * 196)
    shape = (100_000, 100_000, 3)
    tifffile.imwrite(path, iter(blocks), shape=shape, dtype=np.uint8, photometric="rgb", tile=(512, 512), compression=8)
    with path.open("r+b") as file:  # blank tiles alone would be too small for the size
        file.truncate(100_000**2 // MAX_PX_PER_BYTE)
    reader = RowReader(path)
    assert (reader.width, reader.height) == (100_000, 100_000)
    assert (reader.rows(0, 64) == 255).all()


SOUND = {
    "he.png": {},
    "he.jpg": {"quality": 90},
    "progressive.jpg": {"quality": 90, "progressive": True},
    "strips.tif": {"rowsperstrip": 16},
    "lzw.tif": {"compression": "tiff_lzw"},
    "tiles.tif": {"tile": (64, 64), "compression": "zlib"},
    "big.tif": {"bigtiff": True, "rowsperstrip": 32, "compression": "zlib"},
    "jpeg.tif": {"compression": "jpeg"},
    "he.ome.tif": {"tile": (64, 64), "metadata": {"axes": "YXS"}},
}


@pytest.fixture(scope="module", params=SOUND)
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound image of each format."""
    path, options = tmp_path_factory.mktemp("sound") / request.param, SOUND[request.param]
    by_pillow = path.suffix in (".png", ".jpg") or options.get("compression") in ("tiff_lzw", "jpeg")
    if by_pillow:
        Image.fromarray(noise(300, 200)).save(path, **options)
    else:
        tifffile.imwrite(path, noise(300, 200), photometric="rgb", **options)
    return path


def read(path: Path) -> np.ndarray:
    reader = RowReader(path)
    return reader.rows(0, reader.height)


@pytest.mark.parametrize("part", [0.001, 0.3, 0.8, 0.97])
def test_files_that_break_off_are_refused(sound: Path, part: float, tmp_path: Path) -> None:
    assert read(sound).shape == (300, 200, 3)
    path = tmp_path / sound.name
    path.write_bytes(sound.read_bytes()[: int(sound.stat().st_size * part)])
    with pytest.raises(EfnstError, match=f"Expected `{path.name}` to"):
        read(path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_read_or_refused(sound: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Damage among the pixels cannot always be seen; but nothing else than an `EfnstError` ever comes of it."""
    content = bytearray(sound.read_bytes())
    ends = st.one_of(st.integers(0, 400), st.integers(len(content) - 400, len(content) - 1))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(ends)] = data.draw(st.integers(0, 255))
    path = tmp_path / sound.name
    path.write_bytes(content)
    try:
        image = open_image(path)
        if image.width * image.height < 10**7:
            read(path)
    except EfnstError as error:
        assert f"`{path.name}`" in str(error)
