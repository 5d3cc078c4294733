"""JPEG 2000 and tiles of one colour each, as slide scanners and microscopes write them, and what is wrong with some."""

import base64
import io
import re
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.support.slides import HEIGHT, TILE, WIDTH, picture, tiff, tiles, whole, write_svs, write_tiff

from efnst.errors import EfnstError
from efnst.image.open import open_image
from efnst.image.tiff_blocks import BlockTiff, DamagedBlockError, codestream_size

# The upper left 128 × 128 px of picture(), YCbCr, its colours at half the width: a codestream of `opj_compress`.
SUBSAMPLED = base64.b85decode(
    "|4;u>051Rl0001h0001h00000000000001h0001h000000000000RdB0S5vB2Lb{AQUDA9000311q1{D0smY86F@*nNKi;fP)JBnNJvmfNKpS|"
    "03`qcLvm$dbY)~9VtF7>aAj^vP(?=|c4cyNX>V>IGA=bPF#nJM3IG5A00M~s0soW3<`yCov4Qa{Pxct^e8KUC2=y*qlw8NsAQS!FZj}SNQNVm6"
    "KsqD<kRlho7ax*D9}~$NpTIac2Sb1nfEOsw14g$LE4RS-!oWHl0l|P5E7@Cr0J=>Jm$SfpD8M>=0IoP7@#T2J%nnK?w0UE9UPnI!5Jt_DPdPDG"
    "T&nlREu;`2OKVRefDLQ-s6p1>z&bnwqre?344pkrwP&6wA6r9A>Bb&!J@Z#2JjA8mKfrt>z&N-Ar2rvt=fFMk9CtYnMhRH?XD{n-T0b8C<8A@i"
    ";r2eUz&mdM?JNP#gkDr2R*?=NtP84)Y?w8BCeXnP3sfeeo={r4kcj?<{4}4@iNOy~5r4o~=BgYbZs@c+98YPN3LXi&JOud?!c<Y|o@!h|e!c4z"
    "TZsZ7YZjUg$dAx*CGd9;pAuZ@ZZm72qOg9_n*$TJ?Ae<Mi4~MBvRAsNSMV0UXHgF!ukUcvi8t=EIR#wfRv-Sitg~p4HGUZ(f|jkB)c=3LI_v|h"
    "0AgZ)@QvP@p-5sZI!Ab{w;wQMKol<=X<&@~13x`Q%}Q&_0-KysT!a2{>vJiKDJ;joz&l9*?Gyo8Am?AZJnw-ZiRAaa4Cs_+&EJ7DOk`#{*7|`-"
    "NW~>PE?)Pi6sI5Flv|Wpu{SexG~i~Aw5O;{GB8Skr0-(dK3pWht(O*^!912O>+J55rFmq4z!zBn?SK@NULwM?N4zaT-Emt##7)VSNjFfhNvZJ?"
    "l%+;dqCNz1CLjD0afiE$b$@2p$#7Uoc=l_G_lZbcGWzS&Z%CD|_4Njh+MP`JQNpn)UXPzmpW)ld1XBMCP``kHfPnwm"
)


def codestreams(colours: str = "RGB", **options: object) -> list[bytes]:
    """picture() in tiles of lossless JPEG 2000."""
    given = {"level": 0, "reversible": True, "codecformat": "j2k", "mct": False} | options
    pixels = [np.array(Image.fromarray(tile).convert(colours)) for tile in tiles()]
    return [imagecodecs.jpeg2k_encode(tile, **given) for tile in pixels]


@pytest.mark.parametrize(
    ("compression", "options"), [(33005, {"mct": True}), (33005, {}), (34712, {"codecformat": "jp2"})]
)
def test_slides_in_jpeg_2000(compression: int, options: dict, tmp_path: Path) -> None:
    write_svs(tmp_path / "he.svs", compression, codestreams(**options))
    assert isinstance(open_image(tmp_path / "he.svs"), BlockTiff)
    assert np.array_equal(whole(tmp_path / "he.svs"), picture())


@pytest.mark.parametrize("photometric", [2, 6])
def test_slides_in_jpeg_2000_whose_colours_are_luma_and_chroma(photometric: int, tmp_path: Path) -> None:
    write_svs(tmp_path / "he.svs", 33003, codestreams("YCbCr"), photometric)
    assert np.abs(whole(tmp_path / "he.svs").astype(int) - picture()).max() <= 3


def test_slides_in_jpeg_2000_whose_chroma_has_half_the_width(tmp_path: Path) -> None:
    write_svs(tmp_path / "he.svs", 33003, [SUBSAMPLED] * 9)
    corner = whole(tmp_path / "he.svs")[:TILE, :TILE].astype(int)
    assert np.abs(corner - picture()[:TILE, :TILE]).max() <= 5


def write_ndpi(path: Path, moved: dict[int, int] | None = None) -> np.ndarray:
    """As Hamamatsu writes slides larger than JPEG allows; returns the pixels, uint8 [304, 256, 3].

    One strip, a JPEG stream that does not say its size, with restart markers whose places are listed in the tag 65426,
    those in `moved` wrongly.
    """
    pixels = np.pad(picture(), [(0, 4), (0, 0), (0, 0)], mode="edge")[:, :256]
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "jpeg", quality=95, subsampling=2, restart_marker_blocks=8)
    data = bytearray(stream.getvalue())
    size = data.index(b"\xff\xc0") + 5
    data[size : size + 4] = bytes(4)
    scan = data.index(b"\xff\xda")
    scan += 2 + int.from_bytes(data[scan + 2 : scan + 4], "big")
    starts = [scan, *(found.end() for found in re.finditer(rb"\xff[\xd0-\xd7]", data) if found.start() > scan)]
    for number, place in (moved or {}).items():
        starts[number] = place
    layout = [*((256, "I", [256]), (257, "I", [304]), (258, "H", [8, 8, 8]), (259, "H", [7]), (262, "H", [6]))]
    layout += [(271, "s", b"Hamamatsu\0"), (277, "H", [3]), (278, "I", [304]), (530, "H", [2, 2])]
    layout += [(65420, "I", [1]), (65421, "I", [20]), (65426, "I", starts)]
    write_tiff(path, [bytes(data)], layout, ndpi=True)
    return pixels


def test_slides_of_hamamatsu_are_read_in_intervals(tmp_path: Path) -> None:
    pixels = write_ndpi(tmp_path / "he.ndpi")
    assert isinstance(open_image(tmp_path / "he.ndpi"), BlockTiff)
    assert np.abs(whole(tmp_path / "he.ndpi").astype(int) - pixels).max() <= 5


LAYOUTS = {
    "grey strips": ({"photometric": "minisblack", "compression": "jpeg2000", "rowsperstrip": 64}, "L"),
    "strips": ({"photometric": "rgb", "compression": "jpeg2000", "rowsperstrip": 64}, "RGB"),
    "transparent tiles": ({"photometric": "rgb", "compression": "jpeg2000", "tile": (64, 96)}, "RGBA"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_other_layouts_of_jpeg_2000(layout: str, dtype: str, tmp_path: Path) -> None:
    options, colours = LAYOUTS[layout]
    pixels = np.asarray(Image.fromarray(picture()).convert(colours)).copy()
    pixels[0] = 255
    deep = pixels.astype(dtype) * (257 if dtype == "uint16" else 1)
    path = tiff("he.tif", tmp_path, deep, compressionargs={"level": 0, "reversible": True}, **options)
    assert isinstance(open_image(path), BlockTiff)
    assert np.array_equal(whole(path), np.asarray(Image.fromarray(pixels).convert("RGB")))


@pytest.mark.parametrize("planarconfig", [None, "separate"])
def test_an_ome_tiff_in_jpeg_2000_with_a_plane_for_each_colour(planarconfig: str | None, tmp_path: Path) -> None:
    options = {"photometric": "rgb" if planarconfig else "minisblack", "planarconfig": planarconfig, "tile": (64, 64)}
    options |= {"compression": "jpeg2000", "compressionargs": {"level": 0, "reversible": True}}
    path = tiff("he.ome.tif", tmp_path, np.moveaxis(picture(), 2, 0), metadata={"axes": "CYX"}, **options)
    assert np.array_equal(whole(path), picture())


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_tiles_of_one_colour_each(dtype: str, compression: str | None, byteorder: str, tmp_path: Path) -> None:
    pixels = picture()
    pixels[0] = 255
    planes = np.moveaxis(pixels, 2, 0).astype(dtype) * (257 if dtype == "uint16" else 1)
    options = {"photometric": "rgb", "planarconfig": "separate", "tile": (64, 96), "byteorder": byteorder}
    path = tiff("he.tif", tmp_path, planes, compression=compression, predictor=compression is not None, **options)
    assert isinstance(open_image(path), BlockTiff)
    assert np.array_equal(whole(path), pixels)


def test_tiles_of_one_colour_in_another_compression_are_refused(tmp_path: Path) -> None:
    options = {"photometric": "rgb", "planarconfig": "separate", "tile": (64, 64), "compression": "zstd"}
    path = tiff("he.tif", tmp_path, np.moveaxis(picture(), 2, 0), **options)
    message = r"Expected `he\.tif` in a layout that is read, found ZSTD, RGB, 8 bits, SEPARATE\. Convert it to a tiled"
    with pytest.raises(EfnstError, match=message):
        whole(path)


DAMAGED = {
    "cut": (lambda stream: stream[:60], r"strip or tile 4: "),
    "zeros": (lambda stream: bytes(len(stream)), r"a JPEG 2000 stream that begins with b'\\x00"),
    "absurd": (lambda stream: stream[:8] + b"\x7f" + stream[9:], r"a codestream of \d{10} × 128 px in 3 bands"),
    "many bands": (lambda stream: stream[:40] + b"\x40" + stream[41:], r"a codestream of .* in 16387 bands"),
    "nothing": (lambda stream: b"", r"strip or tile 4 of 0 bytes at \d+"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_block_is_named(damage: str, tmp_path: Path) -> None:
    change, found = DAMAGED[damage]
    blocks = codestreams()
    blocks[4] = change(blocks[4])
    write_svs(tmp_path / "he.svs", 33005, blocks)
    with pytest.raises(EfnstError, match=rf"Expected `he\.svs` to be a readable image .*, found: {found}"):
        whole(tmp_path / "he.svs")


def test_a_block_of_another_size_or_a_file_that_ends_early_is_named(tmp_path: Path) -> None:
    small = imagecodecs.jpeg2k_encode(picture()[:64, :64], level=0, codecformat="j2k")
    write_svs(tmp_path / "he.svs", 33005, [small] * 9)
    with pytest.raises(EfnstError, match=r"found: a strip or tile of \(64, 64, 3\) values of uint8"):
        whole(tmp_path / "he.svs")
    write_svs(tmp_path / "he.svs", 33005, codestreams()[:8])
    with pytest.raises(EfnstError, match=r"found: 8 of 9 strips or tiles"):
        whole(tmp_path / "he.svs")


def test_a_block_that_would_be_the_rest_of_the_file_is_not_read(tmp_path: Path) -> None:
    write_svs(tmp_path / "he.svs", 33005, [*codestreams()[:8], bytes(200_000)])
    with pytest.raises(EfnstError, match=r"found: strip or tile 8 of 200000 bytes at \d+\."):
        whole(tmp_path / "he.svs")
    write_ndpi(tmp_path / "he.ndpi", {3: 1})  # the fourth interval begins before the third
    with pytest.raises(EfnstError, match=r"found: strip or tile 2 of -\d+ bytes at \d+\."):
        whole(tmp_path / "he.ndpi")


def test_blocks_too_large_for_the_decoder_are_refused(tmp_path: Path) -> None:
    write_svs(tmp_path / "he.svs", 33005, codestreams())
    with tifffile.TiffFile(tmp_path / "he.svs", mode="r+b") as file:
        for name in ("TileWidth", "TileLength"):
            file.pages[0].tags[name].overwrite(8192)
    with pytest.raises(EfnstError, match=r"below 67 MB for a block of JPEG 2000, found 201 MB\. Convert it"):
        whole(tmp_path / "he.svs")


def test_the_size_of_a_codestream_is_read_from_its_header() -> None:
    assert codestream_size(SUBSAMPLED) == (128, 128, 3)
    boxed = imagecodecs.jpeg2k_encode(picture(), level=0, codecformat="jp2")
    assert codestream_size(boxed) == (WIDTH, HEIGHT, 3)
    with pytest.raises(DamagedBlockError):
        codestream_size(boxed[:40])
