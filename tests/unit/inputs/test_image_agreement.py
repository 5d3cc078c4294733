"""Whether an image shows the section whose spots it is used with."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps
from scipy.ndimage import gaussian_filter
from tests.support.space_ranger import HIRES, SCALE, positions_of

from efnst.errors import EfnstError
from efnst.inputs import image_agreement, image_choice
from efnst.inputs.section import load_section
from efnst.simulation.forms import to_anndata

pytestmark = pytest.mark.slow

TURNS = {
    "turned by 180°": Image.Transpose.ROTATE_180,
    "mirrored left to right": Image.Transpose.FLIP_LEFT_RIGHT,
}


def full_resolution(outs: Path) -> Image.Image:
    """The image whose hires image a folder has, as large as its scale factor says."""
    hires = Image.open(outs / HIRES).convert("RGB")
    scale = json.loads((outs / SCALE).read_text())["tissue_hires_scalef"]
    return hires.resize([round(side / scale) for side in hires.size])


@pytest.fixture(scope="module")
def outs(simulated_folder: Callable[[int], Path]) -> Path:
    """A simulated section, not to be changed."""
    return simulated_folder(1) / "outs"


def read(path: Path, image: Path | str = "") -> list[str]:
    """The warnings about a section."""
    return load_section("S1", path, str(image), "", with_counts=False)[2]


def test_the_image_that_space_ranger_was_given(outs: Path, tmp_path: Path) -> None:
    """What was found stands in the record: with the full-resolution image the agreement of both kinds."""
    full_resolution(outs).save(tmp_path / "full.jpg", quality=60)
    _, about, warnings = load_section("S1", outs, str(tmp_path / "full.jpg"), "", with_counts=False)
    agreement = about["image_agreement"]
    assert warnings == [] and agreement["own_image"] == "hires" and agreement["detail"] > 0.95
    alone = load_section("S1", outs, "", "", with_counts=False)[1]["image_agreement"]
    assert list(alone) == ["tissue"] and alone["tissue"] == pytest.approx(agreement["tissue"], abs=0.02)
    assert load_section("S1", outs, "none", "", with_counts=False)[1]["image_agreement"] == {}


def test_the_sections_own_image_is_written_to_a_file_and_decoded_once(
    outs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_resolution(outs).save(tmp_path / "full.jpg", quality=60)
    to_anndata(outs).write_h5ad(tmp_path / "s.h5ad")
    located, sized = [], []
    for name, calls in (("located", located), ("image_size", sized)):
        function = getattr(image_choice, name)
        monkeypatch.setattr(image_choice, name, lambda *of, to=calls, by=function: to.append(of[-1]) or by(*of))
    about = load_section("S1", tmp_path / "s.h5ad", str(tmp_path / "full.jpg"), "", with_counts=False)[1]
    assert about["image_agreement"]["own_image"] == "hires"
    assert len(located) == 1 and [path.name for path in sized] == ["full.jpg", "hires.png"]
    assert not hasattr(image_agreement, "located")


@pytest.mark.parametrize("way", TURNS)
def test_a_full_resolution_image_that_is_turned_is_refused_with_the_way_back(
    way: str, outs: Path, tmp_path: Path
) -> None:
    full_resolution(outs).transpose(TURNS[way]).save(tmp_path / "full.jpg", quality=60)
    with pytest.raises(
        EfnstError, match=rf"turned or mirrored: .* hires image by 0\.\d+, and by 1.00 when it is {way}"
    ):
        read(outs, tmp_path / "full.jpg")


def test_a_full_resolution_image_of_another_section_is_refused(
    outs: Path, tmp_path: Path, simulated_folder: Callable[[int], Path]
) -> None:
    other = full_resolution(simulated_folder(2) / "outs").resize(full_resolution(outs).size)
    other.save(tmp_path / "full.jpg", quality=60)
    with pytest.raises(
        EfnstError, match=r"by at most 0.\d+ however it is turned or mirrored: it is of another section"
    ):
        read(outs, tmp_path / "full.jpg")


def inverted(picture: Image.Image) -> Image.Image:
    return ImageOps.invert(picture.convert("RGB"))


def blue(picture: Image.Image) -> Image.Image:
    """What is dark shines in blue, as nuclei with DAPI."""
    grey = ImageOps.autocontrast(ImageOps.invert(picture.convert("L")))
    black = Image.new("L", grey.size)
    return Image.merge("RGB", [black, black, grey])


@pytest.fixture
def shining(outs: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy whose hires and lowres images show tissue bright on a dark ground."""
    copy = shutil.copytree(outs, tmp_path / "shining")
    for path in copy.glob("spatial/tissue_*res_image.png"):
        request.param(Image.open(path)).save(path)
    return copy


DARK_FIELD = (
    r"Expected an H&E image, tissue on bright glass, found that in the {} image the spots in tissue are bright "
    r"\(correlation 0\.[6-9]\d\) on a dark ground \(median \d+ of 255\), as in fluorescence\. "
    r"Give the H&E image, not one of fluorescence, or image: none"
)


@pytest.mark.parametrize("shining", [inverted, blue], indirect=True)
def test_tissue_that_is_bright_on_a_dark_ground_is_no_h_and_e(shining: Path, outs: Path, tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=DARK_FIELD.format("hires")):
        read(shining)
    assert read(shining, "none") == []
    full_resolution(shining).save(tmp_path / "fluorescence.jpg", quality=60)
    with pytest.raises(EfnstError, match=DARK_FIELD.format("fullres")):
        read(shining, tmp_path / "fluorescence.jpg")
    full_resolution(outs).save(tmp_path / "full.jpg", quality=60)
    (warning,) = read(shining, tmp_path / "full.jpg")
    assert "it cannot tell whether the image given is of this section" in warning


def test_h_and_e_with_tissue_where_the_spots_are_not_is_a_warning(outs: Path, tmp_path: Path) -> None:
    """Glass is brighter than tissue there too, but what lies around it is no dark ground."""
    copy = shutil.copytree(outs, tmp_path / "outs")
    hires, table = Image.open(copy / HIRES).convert("RGB"), positions_of(copy)
    scale = json.loads((copy / SCALE).read_text())["tissue_hires_scalef"]
    spots = table.loc[table["in_tissue"] == 1, ["pxl_row_in_fullres", "pxl_col_in_fullres"]].to_numpy() * scale
    marked = np.zeros(hires.size[::-1], float)
    marked[tuple(spots.astype(int).T)] = 1
    glass = gaussian_filter(marked, 8) > gaussian_filter(marked, 8).max() / 4
    tissue = np.random.default_rng(0).integers((120, 70, 120), (180, 120, 190), (*glass.shape, 3), np.uint8)
    Image.fromarray(np.where(glass[..., None], np.uint8(240), tissue)).save(copy / HIRES)
    (warning,) = read(copy)
    assert re.search(r"do not lie on what looks like tissue in the hires image \(correlation -0\.[5-9]", warning)


@pytest.fixture
def lopsided(outs: Path, tmp_path: Path) -> Path:
    """A copy in which there is no tissue in one corner, so that its tissue lies in one way alone."""
    copy = shutil.copytree(outs, tmp_path / "outs")
    path = next((copy / "spatial").glob("tissue_positions*.csv"))
    table = pd.read_csv(path)
    x, y = table["pxl_col_in_fullres"], table["pxl_row_in_fullres"]
    right, top = x > x.median(), y < y.quantile(0.6)
    table.loc[right & top, "in_tissue"] = 0
    table.to_csv(path, index=False)
    scale = json.loads((copy / SCALE).read_text())["tissue_hires_scalef"]
    pixels = np.array(Image.open(copy / HIRES).convert("RGB"))
    pixels[: int(y.quantile(0.6) * scale), int(x.median() * scale) :] = pixels[0, 0]
    Image.fromarray(pixels).save(copy / HIRES)
    return copy


def test_a_hires_image_that_fits_and_one_that_is_turned(lopsided: Path) -> None:
    assert [line for line in read(lopsided) if "tissue in the hires" in line] == []
    for way, turn in TURNS.items():
        Image.open(lopsided / HIRES).transpose(turn).save(lopsided / HIRES)
        with pytest.raises(EfnstError, match=f"on the tissue of the hires image, found .* when the image is {way}"):
            read(lopsided)
        Image.open(lopsided / HIRES).transpose(turn).save(lopsided / HIRES)


def test_exchanged_x_and_y_are_refused_where_the_tissue_says_so_and_named_where_the_array_does(
    lopsided: Path, outs: Path, tmp_path: Path
) -> None:
    data = to_anndata(lopsided)
    data = data[data.obs["in_tissue"] == 1].copy()
    data.var_names_make_unique()
    data.obsm["spatial"] = data.obsm["spatial"][:, ::-1].copy()
    data.write_h5ad(tmp_path / "s.h5ad")
    with pytest.raises(EfnstError, match=r"when the image is mirrored along its diagonal \(x and y exchanged\)"):
        read(tmp_path / "s.h5ad")
    (warning,) = read(tmp_path / "s.h5ad", "none")
    assert warning.startswith("The positions are mirrored against array_row and array_col: x and y may be exchanged")


def test_positions_that_the_array_calls_turned_are_named_where_round_tissue_cannot_tell(
    outs: Path, tmp_path: Path
) -> None:
    data = to_anndata(outs)
    data.var_names_make_unique()
    height = full_resolution(outs).height
    data.obsm["spatial"] = np.column_stack([height - data.obsm["spatial"][:, 1], data.obsm["spatial"][:, 0]])
    data.write_h5ad(tmp_path / "s.h5ad")
    (warning,) = read(tmp_path / "s.h5ad")
    assert warning.startswith("The positions are turned against array_row and array_col")
    assert read(tmp_path / "s.h5ad", "none") == [], "nothing depends on it without an image"
