"""Pictures and tissue that lie otherwise than they should."""

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from efnst.image.orientation import AS_IT_IS, WAYS, bright_tissue, picture_matches, tissue_matches

INVERSE = {way: way for way in WAYS} | {
    "turned by 90° to the left": "turned by 90° to the right",
    "turned by 90° to the right": "turned by 90° to the left",
}


def grainy(seed: int, height: int = 300, width: int = 400) -> np.ndarray:
    """A picture full of detail, uint8 [height, width, 3]."""
    grey = gaussian_filter(np.random.default_rng(seed).normal(size=(height, width)), 3)
    return np.repeat(np.uint8(np.clip(128 + 400 * grey, 0, 255))[..., None], 3, axis=2)


@pytest.mark.parametrize("way", WAYS)
def test_the_way_back_is_named_for_a_copy_of_another_size(way: str) -> None:
    copy = Image.fromarray(np.ascontiguousarray(WAYS[way](grainy(1)))).resize((250, 250))
    found = picture_matches(Image.fromarray(grainy(1)), copy)
    assert max(found, key=found.get) == INVERSE[way] and found[INVERSE[way]] > 0.9
    assert sorted(found.values())[-2] < 0.3


def test_a_picture_of_something_else_and_a_blank_one() -> None:
    one = Image.fromarray(grainy(1))
    assert max(picture_matches(one, Image.fromarray(grainy(2))).values()) < 0.3
    assert picture_matches(one, Image.new("RGB", (400, 300), "white")) == {}


def test_a_shift_by_a_few_pixels_does_not_matter() -> None:
    picture = grainy(3)
    assert picture_matches(Image.fromarray(picture), Image.fromarray(np.roll(picture, 6, axis=1)))[AS_IT_IS] > 0.9


def l_shape() -> tuple[Image.Image, np.ndarray, np.ndarray]:
    """A picture of tissue in the shape of an L, places of a grid on it, and which are in tissue."""
    colours = np.full((400, 300, 3), 240, np.uint8)
    colours[60:340, 60:130], colours[270:340, 60:260] = 120, 120
    columns, rows = np.meshgrid(np.arange(10, 300, 20.0), np.arange(10, 400, 20.0))
    xy = np.column_stack([columns.ravel(), rows.ravel()])
    return Image.fromarray(colours), xy, np.asarray(colours)[xy[:, 1].astype(int), xy[:, 0].astype(int), 0] < 200


@pytest.mark.parametrize("off_tissue_known", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_the_way_that_brings_the_tissue_to_the_spots_is_named(way: str, off_tissue_known: bool) -> None:
    picture, xy, in_tissue = l_shape()
    if not off_tissue_known:
        xy, in_tissue = xy[in_tissue], in_tissue[in_tissue]
    turned = Image.fromarray(np.ascontiguousarray(WAYS[way](np.asarray(picture))))
    found = tissue_matches(turned, xy, in_tissue, 20)
    assert max(found, key=found.get) == INVERSE[way] and found[INVERSE[way]] > 0.75
    assert sorted(found.values())[-2] < found[INVERSE[way]] - 0.25


@pytest.mark.parametrize("off_tissue_known", [True, False])
def test_tissue_that_shines_on_a_dark_ground(off_tissue_known: bool) -> None:
    picture, xy, in_tissue = l_shape()
    if not off_tissue_known:
        xy, in_tissue = xy[in_tissue], in_tissue[in_tissue]
    correlation, ground = bright_tissue(picture, xy, in_tissue, 20)
    assert correlation < -0.75 and ground == pytest.approx(240, abs=2)
    negative = 255 - np.asarray(picture)
    blue = np.dstack([negative[..., 0] * 0, negative[..., 0] * 0, negative[..., 0]])
    for shining in (negative, blue):
        correlation, ground = bright_tissue(Image.fromarray(shining), xy, in_tissue, 20)
        assert correlation > 0.75 and ground == pytest.approx(15, abs=2)


def test_tissue_everywhere_says_nothing() -> None:
    columns, rows = np.meshgrid(np.arange(0, 300, 20.0), np.arange(0, 300, 20.0))
    xy = np.column_stack([columns.ravel(), rows.ravel()])
    assert tissue_matches(Image.new("RGB", (300, 300)), xy, np.ones(len(xy), bool), 20) == {}
    assert bright_tissue(Image.new("RGB", (300, 300)), xy, np.ones(len(xy), bool), 20) is None
