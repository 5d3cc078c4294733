"""The image that a section is used with, and whether its spots lie in it."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from efnst.errors import EfnstError
from efnst.geometry.grid import Grid
from efnst.image.thumbnail import thumbnail
from efnst.inputs.image_choice import ImageChoice, ImpliedSize, check_spots_in_image, image_size

GRID = Grid("hexagonal", 100.0, 1.0, 55.0)
FACTORS = {"tissue_hires_scalef": 0.5, "tissue_lowres_scalef": 0.1}
SPOTS = np.array([[100.0, 100.0], [1900.0, 100.0], [1900.0, 3900.0], [100.0, 3900.0]])
HIRES = ImageChoice("hires", "spatial/tissue_hires_image.png", 0.5, 1000, 2000)


def test_spots_inside_the_image() -> None:
    assert check_spots_in_image(SPOTS, HIRES, GRID, FACTORS) == []
    edge = SPOTS + [[-150, 0]] * 4
    assert check_spots_in_image(edge, HIRES, GRID, FACTORS) == [], "one spot diameter is tolerated"


def test_the_other_scale_factor_fits() -> None:
    lowres = ImageChoice("lowres", "", 0.5, 200, 400)
    said = (
        r"inside the lowres image of 200 × 400 px, found 75% of them outside: scaled by tissue_lowres_scalef 0.5 "
        r"they span x 50 to 950 and y 50 to 1950 px. Scaled by tissue_lowres_scalef 0.1 they fit"
    )
    with pytest.raises(EfnstError, match=said):
        check_spots_in_image(SPOTS, lowres, GRID, FACTORS)


def test_a_scale_far_too_large_is_not_blamed_on_the_other_factor() -> None:
    wrong = ImageChoice("hires", "", 1.5, 1000, 2000)
    with pytest.raises(EfnstError, match=r"No scale factor of the section fits"):
        check_spots_in_image(SPOTS, wrong, GRID, {"tissue_hires_scalef": 1.5, "tissue_lowres_scalef": 0.1})


def test_exchanged_axes() -> None:
    with pytest.raises(EfnstError, match=r"With x and y exchanged they fit"):
        check_spots_in_image(SPOTS[:, ::-1], HIRES, GRID, FACTORS)


def test_an_image_of_another_section() -> None:
    with pytest.raises(EfnstError, match=r"No scale factor of the section fits"):
        check_spots_in_image(SPOTS + 90000, HIRES, GRID, FACTORS)


IMPLIED = ImpliedSize("hires", 2000, 4000)


def full_resolution(width: int, height: int) -> ImageChoice:
    return ImageChoice("fullres", "", 1.0, width, height)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ((1000, 2000), "with 0.5 times the width and height. Give the file that Space Ranger was given as --image"),
        ((600, 1210), "it seems to be a smaller copy, with 0.3 times the width and height."),
        ((1000, 3000), "px: make sure that it is the same image, neither cut nor turned."),
    ],
)
def test_a_full_resolution_image_of_another_size_is_the_cause(size: tuple[int, int], said: str) -> None:
    with pytest.raises(EfnstError) as error:
        check_spots_in_image(SPOTS, full_resolution(*size), GRID, {"tissue_hires_scalef": 0.4}, IMPLIED)
    begin = "Space Ranger had one of about 2000 × 4000 px: "
    assert begin in str(error.value) and said in str(error.value).split("outside: ")[1]
    assert "exchanged" not in str(error.value) and "Scaled by" not in str(error.value)


def test_a_picture_of_the_section_given_as_full_resolution_is_told_by_its_size() -> None:
    factors = {"tissue_hires_scalef": 0.4, "tissue_lowres_scalef": 0.1}
    said = r"Scaled by tissue_hires_scalef 0\.4 they fit\. The image given has .* a smaller copy, with 0\.4 times the"
    with pytest.raises(EfnstError, match=said):
        check_spots_in_image(SPOTS, full_resolution(800, 1600), GRID, factors, IMPLIED)


def test_a_larger_copy_in_which_the_spots_lie_is_a_warning() -> None:
    assert check_spots_in_image(SPOTS, full_resolution(2010, 4020), GRID, FACTORS, IMPLIED) == []
    (warning,) = check_spots_in_image(SPOTS, full_resolution(4000, 8000), GRID, FACTORS, IMPLIED)
    assert "it seems to be a larger copy, with 2 times the width and height" in warning


def test_spots_in_a_corner_are_a_warning() -> None:
    (warning,) = check_spots_in_image(SPOTS, ImageChoice("hires", "", 0.1, 1000, 2000), GRID, FACTORS)
    assert "fill little of the hires image" in warning and "x 10 to 190" in warning


def test_without_an_image_there_is_nothing_to_check() -> None:
    assert check_spots_in_image(SPOTS, ImageChoice("none", "", 0.0, 0, 0), GRID, FACTORS) == []


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_image_sizes_and_truncated_images(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"he.{suffix}"
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    if suffix == "tif":
        tifffile.imwrite(path, pixels, photometric="rgb")
    else:
        Image.fromarray(pixels).save(path)
    assert image_size(path) == (80, 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(EfnstError, match=rf"complete he\.{suffix}, found that it cannot be read"):
        image_size(path)


def test_a_pyramid_has_the_size_of_its_largest_level(tmp_path: Path) -> None:
    pixels = np.zeros((512, 768, 3), np.uint8)
    with tifffile.TiffWriter(tmp_path / "he.ome.tif", ome=True, bigtiff=True) as file:
        file.write(pixels, subifds=1, tile=(256, 256), photometric="rgb")
        file.write(pixels[::2, ::2], subfiletype=1, tile=(256, 256), photometric="rgb")
    assert image_size(tmp_path / "he.ome.tif") == (768, 512)


@pytest.mark.parametrize("content", [b"II*\0\0\0\0\x80", b"II*\0\x08\0\0\0\0\0\0\0\0\0", b"MM\0*", b"II*\0"])
def test_tiff_headers_that_lead_nowhere(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "he.tif").write_bytes(content)
    with pytest.raises(EfnstError, match=r"complete he\.tif, found that it cannot be read"):
        image_size(tmp_path / "he.tif")


@pytest.mark.parametrize(("name", "kind"), [("he.tif", "jpeg"), ("he.svs", "png"), ("he.png", "tiff"), ("he", "jpeg")])
def test_an_image_under_the_ending_of_another_format_is_read_as_what_it_is(
    name: str, kind: str, tmp_path: Path
) -> None:
    pixels = np.full((60, 80, 3), 200, np.uint8)
    Image.fromarray(pixels).save(tmp_path / name, format=kind)
    assert image_size(tmp_path / name) == (80, 60)
    assert np.array_equal(np.asarray(thumbnail(tmp_path / name, 100)), pixels)


def test_files_that_are_no_image(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"Expected an image, found no file"):
        image_size(tmp_path / "absent.png")
    (tmp_path / "he.png").write_bytes(b"no image")
    with pytest.raises(EfnstError, match=r"complete he.png"):
        image_size(tmp_path / "he.png")
