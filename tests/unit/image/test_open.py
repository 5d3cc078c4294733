"""Every layout of image file that scanners and programs write is read, and what is no H&E image is refused by name."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image
from tests.support.places import PROJECT
from tests.support.slides import HEIGHT, WIDTH, jpeg, picture, rgb_layout, tiff, whole, write_svs, write_tiff

import efnst.image.open
from efnst.errors import EfnstError
from efnst.image.rows import shrunk
from efnst.image.thumbnail import thumbnail
from efnst.inputs.image_choice import image_size


def write_pyramid(path: Path, **options: object) -> None:
    """An OME-TIFF with two smaller levels in SubIFDs."""
    layout = {"photometric": "rgb", "tile": (64, 64)}
    with tifffile.TiffWriter(path, ome=True, **options) as file:
        file.write(picture(), subifds=2, metadata={"axes": "YXS", "PhysicalSizeX": 0.25}, **layout)
        for factor in (2, 4):
            file.write(picture()[::factor, ::factor], subfiletype=1, **layout)


def write_ndpi(path: Path) -> None:
    """As Hamamatsu writes it: the whole page is one strip, a JPEG stream; with its private tags."""
    private = [(271, "s", b"Hamamatsu\0"), (65420, "I", [1]), (65421, "I", [20])]
    layout = [*rgb_layout(6, 7), (278, "I", [HEIGHT]), (530, "H", [1, 1]), *private]
    write_tiff(path, [jpeg(picture())], layout)


LOSSLESS = {
    "strips": {},
    "one strip": {"rowsperstrip": HEIGHT},
    "one deflated strip": {"rowsperstrip": HEIGHT, "compression": "zlib"},
    "one row a strip": {"rowsperstrip": 1},
    "tiles": {"tile": (64, 96)},
    "deflated tiles with predictor": {"tile": (64, 64), "compression": "zlib", "predictor": True},
    "a tile larger than the image": {"tile": (512, 512), "compression": "zlib"},
    "BigTIFF": {"bigtiff": True, "tile": (64, 64)},
    "big-endian BigTIFF": {"bigtiff": True, "byteorder": ">"},
}


@pytest.mark.parametrize("layout", LOSSLESS)
def test_layouts_of_tiff(layout: str, tmp_path: Path) -> None:
    path = tiff("he.tif", tmp_path, picture(), photometric="rgb", **LOSSLESS[layout])
    assert np.array_equal(whole(path), picture())


@pytest.mark.parametrize("bigtiff", [False, True])
def test_an_ome_tiff_with_a_pyramid_in_subifds(bigtiff: bool, tmp_path: Path) -> None:
    write_pyramid(tmp_path / "he.ome.tif", bigtiff=bigtiff)
    assert np.array_equal(whole(tmp_path / "he.ome.tif"), picture())


PLANES = {
    "three pages": {"photometric": "minisblack"},
    "three planes": {"photometric": "rgb", "planarconfig": "separate"},
    "three tiled pages": {"photometric": "minisblack", "tile": (64, 64), "compression": "zlib"},
}


@pytest.mark.parametrize("layout", PLANES)
def test_an_ome_tiff_with_a_plane_for_each_colour(layout: str, tmp_path: Path) -> None:
    path = tiff("he.ome.tif", tmp_path, np.moveaxis(picture(), 2, 0), metadata={"axes": "CYX"}, **PLANES[layout])
    assert np.array_equal(whole(path), picture())


def test_an_imagej_tiff_with_a_page_for_each_colour(tmp_path: Path) -> None:
    planes = np.moveaxis(picture(), 2, 0)
    path = tiff("he.tif", tmp_path, planes, imagej=True, photometric="minisblack", metadata={"axes": "CYX"})
    assert np.array_equal(whole(path), picture())


@pytest.mark.parametrize("n_channels", [2, 4])
def test_the_channels_of_fluorescence_are_refused(n_channels: int, tmp_path: Path) -> None:
    channels = np.stack([picture()[..., 0]] * n_channels)
    path = tiff("if.ome.tif", tmp_path, channels, photometric="minisblack", metadata={"axes": "CYX"})
    with pytest.raises(EfnstError, match=rf"Expected `if\.ome\.tif` .* found: an image of {n_channels} separate chan"):
        whole(path)


@pytest.mark.parametrize("write", [write_svs, write_ndpi])
def test_jpeg_compressed_slides(write: Callable, tmp_path: Path) -> None:
    write(tmp_path / "slide.tif")
    found = whole(tmp_path / "slide.tif")
    assert found.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(found.astype(int) - picture()).max() <= 3


@pytest.mark.parametrize(("compression", "name"), [(22610, "JPEG XR"), (50002, "JPEG XL")])
def test_a_compression_that_is_not_read(compression: int, name: str, tmp_path: Path) -> None:
    write_svs(tmp_path / "he.svs", compression)
    message = rf"Expected `he\.svs` in a compression that is read, found {name}\. Convert it to a tiled TIFF"
    with pytest.raises(EfnstError, match=message):
        whole(tmp_path / "he.svs")


@pytest.mark.parametrize(("compression", "name"), [("zstd", "Zstandard"), ("lzma", "LZMA"), ("lerc", "LERC")])
def test_a_compression_that_libvips_is_built_without(compression: str, name: str, tmp_path: Path) -> None:
    path = tiff("he.tif", tmp_path, picture(), photometric="rgb", compression=compression, tile=(64, 64))
    message = rf"Expected `he\.tif` in a compression that is read, found {name}.*\. Convert it to a tiled TIFF"
    for read in (whole, lambda path: thumbnail(path, 100)):
        with pytest.raises(EfnstError, match=message):
            read(path)


@pytest.mark.parametrize("compression", ["packbits", "webp"])
def test_rarer_compressions_that_are_read(compression: str, tmp_path: Path) -> None:
    path = tiff("he.tif", tmp_path, picture(), photometric="rgb", compression=compression, tile=(64, 64))
    assert np.array_equal(whole(path), picture())


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_luma_and_chroma_that_are_not_jpeg_are_refused_and_not_taken_for_rgb(compression: str, tmp_path: Path) -> None:
    Image.fromarray(picture()).convert("YCbCr").save(tmp_path / "he.tif", compression=compression)
    message = r"Expected `he\.tif` in grey, RGB or CMYK, found YCBCR with the compression .*\. Convert it to a til"
    for read in (whole, lambda path: thumbnail(path, 100)):
        with pytest.raises(EfnstError, match=message):
            read(tmp_path / "he.tif")


def test_luma_and_chroma_in_jpeg_are_read(tmp_path: Path) -> None:
    Image.fromarray(picture()).convert("YCbCr").save(tmp_path / "he.tif", compression="jpeg", quality=95)
    with tifffile.TiffFile(tmp_path / "he.tif") as file:
        assert file.pages[0].photometric == tifffile.PHOTOMETRIC.YCBCR
    assert np.abs(whole(tmp_path / "he.tif").astype(int) - picture()).max() <= 4


def test_lab_is_refused_with_how_to_convert_it(tmp_path: Path) -> None:
    Image.fromarray(picture()).convert("RGB").save(tmp_path / "rgb.tif")
    pyvips.Image.new_from_file(str(tmp_path / "rgb.tif")).colourspace("lab").tiffsave(str(tmp_path / "he.tif"))
    with pytest.raises(EfnstError, match=r"found CIELAB with the compression NONE\. Convert it"):
        whole(tmp_path / "he.tif")


@pytest.mark.parametrize("compression", ["zlib", "lzw"])
def test_damaged_tiles_are_no_black_thumbnail(compression: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path, pixels = tmp_path / "he.tif", rng.integers(0, 255, (512, 512, 3), np.uint8)
    pyvips.Image.new_from_array(pixels).tiffsave(
        str(path), tile=True, tile_width=64, tile_height=64, compression={"zlib": "deflate"}.get(compression, "lzw")
    )
    sound = np.asarray(thumbnail(path, 512))
    assert np.array_equal(sound, pixels)
    with tifffile.TiffFile(path) as file:
        places = list(zip(file.pages[0].dataoffsets, file.pages[0].databytecounts, strict=True))
    content = bytearray(path.read_bytes())
    for offset, n_bytes in places[::20]:
        content[offset + n_bytes // 4 : offset + n_bytes // 2] = rng.bytes(n_bytes // 2 - n_bytes // 4)
    (tmp_path / "damaged.tif").write_bytes(content)
    for read in (whole, lambda path: thumbnail(path, 100)):
        with pytest.raises(EfnstError, match=r"Expected `damaged\.tif` to be a readable image .* Copy it again"):
            read(tmp_path / "damaged.tif")


KINDS = {
    "png": ["RGB", "RGBA", "L", "LA", "P", "1"],
    "jpg": ["RGB", "L", "CMYK"],
    "tif": ["RGB", "RGBA", "L", "LA", "P", "CMYK", "1"],
}


@pytest.mark.parametrize(("suffix", "kind"), [(suffix, kind) for suffix, kinds in KINDS.items() for kind in kinds])
def test_colours_are_those_of_pillow(suffix: str, kind: str, tmp_path: Path) -> None:
    source = Image.fromarray(picture()).convert(kind)
    source.save(tmp_path / f"he.{suffix}", quality=95)
    with Image.open(tmp_path / f"he.{suffix}") as image:
        expected = np.asarray(image.convert("RGB")).astype(int)
    difference = np.abs(whole(tmp_path / f"he.{suffix}") - expected)
    # Pillow's CMYK is 255 - ink, libvips' is that of printing inks: alike in kind only.
    assert difference.max() <= (0 if kind != "CMYK" else 130)


def test_paper_is_white_and_full_ink_is_dark_in_cmyk(tmp_path: Path) -> None:
    inks = np.zeros((4, 8, 4), np.uint8)
    inks[:, 4:] = 255
    Image.fromarray(inks, "CMYK").save(tmp_path / "he.tif")
    found = whole(tmp_path / "he.tif")
    assert found[:, :4].min() >= 250 and found[:, 4:].max() <= 50


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("layout", ["interleaved", "planes", "pages", "grey"])
def test_the_depth_of_the_data_in_sixteen_bits_is_found(bits: int, layout: str, tmp_path: Path) -> None:
    pixels = picture() if layout != "grey" else picture()[..., 0]
    pixels[0] = 255  # glass
    deep = (pixels.astype(np.uint16) << (bits - 8)) + (np.arange(WIDTH) % 2 ** (bits - 8)).reshape(
        (-1, 1) if pixels.ndim == 3 else -1
    ).astype(np.uint16)
    options = {"photometric": "rgb" if layout in ("interleaved", "planes") else "minisblack", "byteorder": ">"}
    if layout in ("planes", "pages"):
        deep = np.moveaxis(deep, 2, 0)
        options |= {"metadata": {"axes": "CYX"}} | ({"planarconfig": "separate"} if layout == "planes" else {})
    path = tiff("he.ome.tif", tmp_path, deep, **options)
    assert np.array_equal(whole(path), pixels if pixels.ndim == 3 else np.dstack([pixels] * 3))


def test_transparency_has_a_depth_of_its_own(tmp_path: Path) -> None:
    pixels = np.dstack([picture().astype(np.uint16) << 4, np.full((HEIGHT, WIDTH), 65535, np.uint16)])
    pixels[0, :, :3], pixels[1, :, 3] = 4095, 0
    path = tiff("he.tif", tmp_path, pixels, photometric="rgb", extrasamples=["unassalpha"])
    found = whole(path)
    assert (found[:2] == 255).all()
    assert np.abs(found[2:].astype(int) - picture()[2:]).max() <= 1


@pytest.mark.parametrize("options", [{}, {"planarconfig": "separate", "tile": (64, 64)}], ids=["libvips", "blocks"])
def test_a_fourth_band_that_is_not_said_to_be_transparency_is_left_out(options: dict, tmp_path: Path) -> None:
    bands = [*np.moveaxis(picture(), 2, 0), np.zeros((HEIGHT, WIDTH), np.uint8)]
    pixels = np.stack(bands, axis=0 if options else 2)
    path = tiff("he.tif", tmp_path, pixels, photometric="rgb", extrasamples=["unspecified"], **options)
    assert np.array_equal(whole(path), picture())
    assert np.asarray(thumbnail(path, 100)).mean() == pytest.approx(picture().mean(), abs=1)


@pytest.mark.parametrize("dtype", ["float32", "uint32", "int16", "float64"])
def test_pixels_that_are_no_colours_are_refused(dtype: str, tmp_path: Path) -> None:
    path = tiff("he.tif", tmp_path, picture().astype(dtype), photometric="rgb")
    with pytest.raises(
        EfnstError, match=rf"Expected `he\.tif` to have whole numbers of up to 16 bits as pixels, found {dtype}"
    ):
        whole(path)


def test_five_interleaved_channels_are_refused(tmp_path: Path) -> None:
    path = tiff(
        "if.tif", tmp_path, np.dstack([picture(), picture()[..., :2]]), photometric="minisblack", planarconfig="contig"
    )
    with pytest.raises(EfnstError, match=r"Expected `if\.tif` to be grey, RGB or CMYK .* found 5 channels"):
        whole(path)


def test_averaging_down_by_hand(tmp_path: Path) -> None:
    grey = np.array([[10, 20, 30, 40, 9], [20, 30, 40, 50, 9], [0, 0, 255, 255, 9], [0, 1, 255, 254, 9]], np.uint8)
    Image.fromarray(grey).save(tmp_path / "he.png")
    assert shrunk(tmp_path / "he.png", 2)[..., 0].tolist() == [[20, 40], [0, 254]]
    assert shrunk(tmp_path / "he.png", 5)[..., 0].tolist() == grey.tolist()
    assert shrunk(tmp_path / "he.png", 1)[..., 0].tolist() == [[int(grey[:4].mean())]]


PLAIN = {
    "interleaved": ({"photometric": "rgb"}, ">"),
    "planes": ({"photometric": "rgb", "planarconfig": "separate"}, "<"),
    "grey": ({"photometric": "minisblack"}, ">"),
}


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("layout", PLAIN)
def test_large_strips_are_read_in_place(
    layout: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, byteorder = PLAIN[layout]
    expected = picture() if layout != "grey" else np.dstack([picture()[..., 0]] * 3)
    expected[0] = 255
    pixels = expected if layout != "grey" else expected[..., 0]
    pixels = np.moveaxis(pixels, 2, 0) if layout == "planes" else pixels
    deep = pixels.astype(dtype) * (257 if dtype == "uint16" else 1)
    path = tiff("he.tif", tmp_path, deep, byteorder=byteorder, **options)
    by_libvips = whole(path)
    monkeypatch.setattr(efnst.image.open, "PLAIN_BLOCK_BYTES", 1000)
    assert isinstance(efnst.image.open.open_image(path), efnst.image.open.PlainTiff)
    assert np.array_equal(whole(path), by_libvips) and np.array_equal(by_libvips, expected)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(EfnstError, match=r"Expected `he\.tif` .* found: \d+ of \d+ bytes"):
        whole(path)


@pytest.mark.parametrize("name", ["he.svg", "he.gif", "he.webp", "he.bmp"])
def test_other_formats_are_refused_whatever_libvips_reads(name: str, tmp_path: Path) -> None:
    if name == "he.svg":
        (tmp_path / name).write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    else:
        Image.fromarray(picture()).save(tmp_path / name)
    with pytest.raises(EfnstError, match=rf"Expected `{name}` to be a readable image .* found: a file that begins"):
        whole(tmp_path / name)


FOREIGN = {
    "he.czi": (b"ZISRAWFILE\0\0\0\0", r"a file that begins with b'ZISRAWFI' \(Zeiss CZI\)"),
    "he.tif": (b"ZISRAWFILE\0\0\0\0", r"a file that begins with b'ZISRAWFI' \(Zeiss CZI\)"),
    "he.webp": (b"RIFF\0\0\0\0WEBP", r"a file that begins with .* \(WebP\)"),
    "he.bmp": (b"BM\0\0\0\0\0\0", r"a file that begins with .* \(BMP\)"),
    "he.lif": (b"\x70\0\0\0", r"a file that begins with b'p"),
    "he.vsi": (b"II*\0\x08\0\0\0", r"a slide whose pixels lie in files beside it \(Olympus VSI\)"),
    "he.MRXS": (b"\xff\xd8\xff\xe0", r"a slide whose pixels lie in files beside it \(3DHISTECH MRXS\)"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_formats_that_are_not_read_are_named_with_how_to_convert_them(name: str, tmp_path: Path) -> None:
    content, found = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    said = rf"Expected `{name}` to be a readable image \(TIFF, .*\), found: {found}.* Convert it to a tiled TIFF"
    for read in (whole, image_size):
        with pytest.raises(EfnstError, match=said):
            read(tmp_path / name)


def lzw_tile(pixels: np.ndarray, folder: Path) -> bytes:
    """The LZW stream of one tile."""
    pyvips.Image.new_from_array(pixels).tiffsave(
        str(folder / "tile.tif"), tile=True, tile_width=len(pixels), tile_height=len(pixels), compression="lzw"
    )
    with tifffile.TiffFile(folder / "tile.tif") as file:
        offset, n_bytes = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    return (folder / "tile.tif").read_bytes()[offset:][:n_bytes]


def write_one_strip(path: Path, side: int) -> None:
    """An uncompressed image in a single strip; the pixels, all 0, take no room on the disk."""
    tifffile.memmap(path, shape=(side, side, 3), dtype=np.uint8, photometric="rgb", rowsperstrip=side)


def write_planes(path: Path, side: int) -> None:
    """The same with a strip for each colour."""
    tifffile.memmap(path, shape=(3, side, side), dtype=np.uint8, photometric="rgb", planarconfig="separate")


def write_lzw_tiles(path: Path, side: int) -> None:
    """Tiles of 256 px with LZW compression, all alike."""
    tile = lzw_tile(np.random.default_rng(0).integers(0, 4, (256, 256, 3), np.uint8), path.parent)
    blocks = iter([tile] * (-(-side // 256)) ** 2)
    shape = (side, side, 3)
    layout = {"photometric": "rgb", "tile": (256, 256), "compression": "zlib"}
    tifffile.imwrite(path, blocks, shape=shape, dtype=np.uint8, **layout)
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags["Compression"].overwrite(5)  # tifffile itself writes no LZW


TILED = """
import sys
from pathlib import Path
import numpy as np
from efnst.image.patches import window_of, write_patches
from efnst.image.places import Places

image, side = Path(sys.argv[1]), int(sys.argv[2])
x, y = np.meshgrid(np.linspace(0.02, 0.98, 40) * side, np.linspace(0.02, 0.98, 40) * side)
centres = np.column_stack([x.ravel(), y.ravel()])
barcodes = np.arange(len(centres)).astype(str)
write_patches(Path(sys.argv[3]), image, Places(barcodes, centres, None), 1.0, [window_of(190, 0.25)], 0.25)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print(int(peak) * 1024 / 1e9)
"""


@pytest.mark.slow
@pytest.mark.parametrize("write", [write_one_strip, write_planes, write_lzw_tiles])
def test_thirty_thousand_px_a_side_are_tiled_within_one_and_a_half_gb(write: Callable, tmp_path: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("the memory of a process is read from /proc, which this system has not")
    side = 30_000
    write(tmp_path / "large.tif", side)
    command = [sys.executable, "-c", TILED, tmp_path / "large.tif", str(side), tmp_path / "patches.h5"]
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "bin")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1.5, "the decoded image would be 2.7 GB"
    (tmp_path / "large.tif").unlink()
