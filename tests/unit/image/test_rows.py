"""Reading images from top to bottom: the same pixels as Pillow's, whatever rows are asked for, or an error."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.support.places import PROJECT

from efnst.errors import EfnstError
from efnst.image.rows import RowReader

HEIGHT, WIDTH = 600, 37  # more rows than are decoded at once, and not a whole number of those


def picture() -> np.ndarray:
    """A picture with smooth colours, edges and noise."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    colours = np.stack([y % 256, (x * 7) % 256, (x + y) // 5 % 256], axis=2)
    noise = np.random.default_rng(0).integers(-20, 20, colours.shape)
    return (colours + noise).clip(0, 255).astype(np.uint8)


def whole(path: Path) -> np.ndarray:
    """All rows at once."""
    reader = RowReader(path)
    return reader.rows(0, reader.height)


SAVED = {
    "a.png": {},
    "a.jpg": {"quality": 80},
    "progressive.jpg": {"quality": 80, "progressive": True},
    "full_colour.jpg": {"quality": 95, "subsampling": 0},
    "a.tif": {},
    "lzw.tif": {"compression": "tiff_lzw"},
}


@pytest.mark.parametrize("name", SAVED)
def test_pixels_are_those_of_pillow(name: str, tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / name, **SAVED[name])
    with Image.open(tmp_path / name) as image:
        assert np.array_equal(whole(tmp_path / name), np.asarray(image.convert("RGB")))


def test_a_tiled_tiff_with_smaller_pages_gives_the_first_page(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "pyramid.tif") as file:
        file.write(picture(), tile=(64, 64), photometric="rgb", compression="deflate", subifds=1)
        file.write(picture()[::2, ::2], tile=(64, 64), photometric="rgb", subfiletype=1)
    assert np.array_equal(whole(tmp_path / "pyramid.tif"), picture())


@pytest.mark.parametrize("name", ["grey.png", "grey.jpg", "grey.tif"])
def test_grey_becomes_rgb(name: str, tmp_path: Path) -> None:
    Image.fromarray(picture()[..., 0]).save(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        grey = np.asarray(image)
    assert np.array_equal(whole(tmp_path / name), np.dstack([grey] * 3))


def test_a_palette_becomes_rgb(tmp_path: Path) -> None:
    Image.fromarray(picture()).quantize(16).save(tmp_path / "palette.png")
    with Image.open(tmp_path / "palette.png") as image:
        assert np.array_equal(whole(tmp_path / "palette.png"), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("name", ["clear.png", "clear.tif"])
def test_transparent_becomes_white(name: str, tmp_path: Path) -> None:
    alpha = np.repeat([0, 128, 255], 200)[:, None] * np.ones((1, WIDTH))
    Image.fromarray(np.dstack([picture(), alpha.astype(np.uint8)])).save(tmp_path / name)
    found = whole(tmp_path / name)
    assert (found[:200] == 255).all()
    assert np.array_equal(found[400:], picture()[400:])
    expected = 255 + (picture()[200:400].astype(float) - 255) * 128 / 255
    assert np.abs(found[200:400] - expected).max() <= 1


def test_grey_with_transparency(tmp_path: Path) -> None:
    grey = np.dstack([np.full((4, 4), 7, np.uint8), np.repeat([[0, 0, 255, 255]], 4, 0).astype(np.uint8)])
    Image.fromarray(grey, "LA").save(tmp_path / "la.png")
    assert whole(tmp_path / "la.png")[0].tolist() == [[255] * 3] * 2 + [[7] * 3] * 2


@pytest.mark.parametrize("kind", ["rgb", "grey"])
def test_sixteen_bits_become_eight(kind: str, tmp_path: Path) -> None:
    eight = picture() if kind == "rgb" else picture()[..., 0]
    sixteen = eight.astype(np.uint16) * 257  # 0 … 255 spread over 0 … 65535
    tifffile.imwrite(tmp_path / "sixteen.tif", sixteen, photometric="rgb" if kind == "rgb" else "minisblack")
    expected = eight if kind == "rgb" else np.dstack([eight] * 3)
    assert np.array_equal(whole(tmp_path / "sixteen.tif"), expected)


def test_sixteen_bit_png(tmp_path: Path) -> None:
    eight = picture()[..., 0]
    Image.fromarray(eight.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    assert np.array_equal(whole(tmp_path / "sixteen.png"), np.dstack([eight] * 3))


def test_sixteen_bits_with_transparency(tmp_path: Path) -> None:
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint16)
    alpha[:300] = 0
    sixteen = np.dstack([picture().astype(np.uint16), alpha]) * 257
    tifffile.imwrite(tmp_path / "a.tif", sixteen, photometric="rgb", extrasamples=["unassalpha"])
    found = whole(tmp_path / "a.tif")
    assert (found[:300] == 255).all()
    assert np.abs(found[300:].astype(int) - picture()[300:]).max() <= 1


@pytest.fixture(scope="module")
def png(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "rows.png"
    Image.fromarray(picture()).save(path)
    return path


@settings(max_examples=60, deadline=None)
@given(bands=st.lists(st.tuples(st.integers(0, HEIGHT - 1), st.integers(1, 400)), min_size=1, max_size=12))
def test_rows_in_any_rising_order(png: Path, bands: list[tuple[int, int]]) -> None:
    reader, expected = RowReader(png), picture()
    for first, n_rows in sorted(bands, key=lambda band: band[0]):
        last = min(first + n_rows, HEIGHT)
        assert np.array_equal(reader.rows(first, last), expected[first:last])


def test_rows_that_went_by_are_refused(png: Path) -> None:
    reader = RowReader(png)
    reader.rows(100, 120)
    with pytest.raises(ValueError, match="found 99 after 100"):
        reader.rows(99, 110)


@pytest.mark.parametrize("tile", [None, (64, 64)], ids=["strips", "tiles"])
@pytest.mark.parametrize("part", [0.5, 0.95])
def test_a_tiff_that_breaks_off_is_refused(tile: tuple[int, int] | None, part: float, tmp_path: Path) -> None:
    path = tmp_path / "cut.tif"
    layout = {"tile": tile, "compression": "zlib"} if tile else {"rowsperstrip": 16}
    tifffile.imwrite(path, np.tile(picture(), (1, 8, 1)), photometric="rgb", **layout)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(EfnstError, match=r"Expected `cut\.tif` to be a readable image .* Is the file complete\?"):
        whole(path)


def test_tags_that_nobody_knows_are_no_damage(tmp_path: Path) -> None:
    tags = [(65000, "s", 0, "scanner", True), (65001, "H", 2, (1, 2), True)]
    tifffile.imwrite(tmp_path / "scanner.tif", picture(), photometric="rgb", extratags=tags)
    assert np.array_equal(whole(tmp_path / "scanner.tif"), picture())


@pytest.mark.parametrize("name", ["cut.png", "cut.jpg", "cut.tif"])
def test_a_truncated_image_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    Image.fromarray(picture()).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(EfnstError, match=rf"Expected `{name}` to be a readable image .* Is the file complete\?"):
        whole(path)


@pytest.mark.parametrize("content", [b"", b"no image at all\n" * 40])
def test_what_is_no_image_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_bytes(content)
    with pytest.raises(EfnstError, match=r"Expected `notes\.png` to be a readable image"):
        whole(tmp_path / "notes.png")


def test_an_image_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"Expected `absent\.png` to be a readable image"):
        RowReader(tmp_path / "absent.png")


MEMORY = """
import sys
from pathlib import Path
from efnst.image.rows import RowReader

def memory(name):
    return int(next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith(name)).split()[1])

reader = RowReader(Path(sys.argv[1]))
before = memory("VmRSS")
for first in range(0, reader.height - 200, 60):
    reader.rows(first, first + 200)
print((memory("VmHWM") - before) / 1024)
"""


def test_memory_is_bounded_by_a_band_of_rows(tmp_path: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("the memory of a process is read from /proc, which this system has not")
    import pyvips

    width, height = 2000, 40000
    pyvips.Image.black(width, height, bands=3).copy(interpretation="srgb").jpegsave(str(tmp_path / "large.jpg"))
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "bin")}
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "large.jpg")]
    used_mb = float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert used_mb < width * height * 3 / 2**20 / 2, "the decoded image would be twice that"
