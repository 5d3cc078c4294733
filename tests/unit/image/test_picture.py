"""The small image of a section for reports and results."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from anndata import AnnData
from PIL import Image

from efnst.errors import EfnstError
from efnst.image.picture import plain, sizes_in, small_image
from efnst.inputs.located import image_path


def test_image_is_shrunk_and_made_rgb(tmp_path: Path) -> None:
    """16-bit grey, 3000 x 1500, wide gradient: becomes 8-bit RGB of 1200 x 600, dark on the left."""
    values = np.tile(np.linspace(0, 65535, 3000).astype(np.uint16), (1500, 1))
    Image.fromarray(values).save(tmp_path / "grey.png")
    small = small_image(tmp_path / "grey.png", {"image": {"width": 3000, "height": 1500}})
    assert small.size == (1200, 600)
    assert small.mode == "RGB"
    assert small.getpixel((5, 300))[0] < 20 < 235 < small.getpixel((1195, 300))[0]


def test_an_image_with_a_page_for_each_colour_is_shown_in_colour(tmp_path: Path) -> None:
    """12-bit data on three pages, as scanners with three cameras write them."""
    pages = np.repeat([4095, 2048, 16], 30 * 60).reshape(3, 30, 60).astype(np.uint16)
    tifffile.imwrite(tmp_path / "he.ome.tif", pages, photometric="minisblack", metadata={"axes": "CYX"})
    small = small_image(tmp_path / "he.ome.tif", {"image": {"width": 60, "height": 30}})
    assert small.size == (60, 30) and small.getpixel((7, 9)) == (255, 128, 1)


def test_rotation_in_the_exif_is_left_alone(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 30), "white")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert small_image(tmp_path / "turned.jpg", {"image": {"width": 60, "height": 30}}).size == (60, 30)


def test_another_image_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (60, 30)).save(tmp_path / "other.png")
    with pytest.raises(EfnstError, match=r"Expected `other.png` to have 61 x 30 px.*found 60 x 30"):
        small_image(tmp_path / "other.png", {"image": {"width": 61, "height": 30}})


def test_image_paths(tmp_path: Path) -> None:
    given = Path("slide.tif")
    assert image_path({"image": {"source": "none", "file": ""}}, tmp_path, None) is None
    assert image_path({"image": {"source": "fullres", "file": ""}}, tmp_path, given) == given
    with pytest.raises(EfnstError, match="give it with --image"):
        image_path({"image": {"source": "fullres", "file": ""}}, tmp_path, None)
    with pytest.raises(EfnstError, match=r"spatial/hires\.png"):
        image_path({"image": {"source": "hires", "file": "spatial/hires.png"}}, tmp_path, None)


def test_sizes_tell_spots_on_no_array_from_cells() -> None:
    """µm per px would make cells of such spots where they are read again, so that they have none."""
    facts = {"spot_diameter_px": 110.0, "um_per_px": 0.5}

    def sizes(grid: str, row: int) -> dict[str, float]:
        obs = pd.DataFrame({"array_row": [row, row]}, ["a", "b"])
        return sizes_in(AnnData(obs=obs, uns={"section": facts | {"grid": grid}}))

    alone, scaled = {"spot_diameter_fullres": 110.0}, {"spot_diameter_fullres": 110.0, "microns_per_pixel": 0.5}
    assert [sizes("hexagonal", 7), sizes("hexagonal", -1), sizes("irregular", -1)] == [scaled, alone, scaled]


def test_plain_turns_numpy_into_python() -> None:
    assert plain({"a": np.float32(0.5), "b": {"c": np.array([1, 2])}, "d": "x"}) == {
        "a": 0.5,
        "b": {"c": [1, 2]},
        "d": "x",
    }
