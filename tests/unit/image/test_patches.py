"""Patches: windows are plain slices of the image, mirrored at its borders, averaged where they are large."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from efnst.errors import EfnstError
from efnst.image.patches import (
    STAIN_SAMPLE_PX,
    Window,
    is_glass,
    laplacian_variance,
    patch_sizes,
    summarise_patches,
    window_of,
    write_patches,
)
from efnst.image.places import Places


def cut(
    pixels: np.ndarray, centres: list, windows: list[Window], folder: Path
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Patches {dataset: uint8 [n_spots, px, px, 3]} around `centres` (x, y) of an image, and the figures."""
    Image.fromarray(pixels).save(folder / "image.png")
    barcodes = np.array([f"B{number}" for number in range(len(centres))])
    path = folder / "patches.h5"
    figures = write_patches(
        path, folder / "image.png", Places(barcodes, np.array(centres, float), None), 1.0, windows, 1.0
    )
    with h5py.File(path) as file:
        assert file["barcodes"].asstr()[:].tolist() == barcodes.tolist()
        return {window.dataset: file[window.dataset][:] for window in windows}, figures


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def mirrored(pixels: np.ndarray, centre: tuple[float, float], window_px: int) -> np.ndarray:
    """The window around `centre` (x, y) in the slow and obvious way."""
    padded = np.pad(pixels, [(window_px, window_px), (window_px, window_px), (0, 0)], mode="reflect")
    left, top = (round(position - window_px / 2) + window_px for position in centre)
    return padded[top : top + window_px, left : left + window_px]


# An image of 6 rows and 7 columns whose pixel in row y and column x is 10 y + x; windows of 4 px.
# centre (x, y): rows and columns of the window
BY_HAND = {
    "inside": ((3, 3), [1, 2, 3, 4], [1, 2, 3, 4]),
    "touching the borders": ((2, 2), [0, 1, 2, 3], [0, 1, 2, 3]),
    "touching the far borders": ((5, 4), [2, 3, 4, 5], [3, 4, 5, 6]),
    "top": ((3, 1), [1, 0, 1, 2], [1, 2, 3, 4]),
    "bottom": ((3, 5), [3, 4, 5, 4], [1, 2, 3, 4]),
    "left": ((1, 3), [1, 2, 3, 4], [1, 0, 1, 2]),
    "right": ((6, 3), [1, 2, 3, 4], [4, 5, 6, 5]),
    "top left": ((0, 0), [2, 1, 0, 1], [2, 1, 0, 1]),
    "top right": ((7, 0), [2, 1, 0, 1], [5, 6, 5, 4]),
    "bottom left": ((0, 6), [4, 5, 4, 3], [2, 1, 0, 1]),
    "bottom right": ((7, 6), [4, 5, 4, 3], [5, 6, 5, 4]),
}


def test_windows_by_hand(tmp_path: Path) -> None:
    y, x = np.mgrid[:6, :7]
    pixels = np.dstack([10 * y + x] * 3).astype(np.uint8)
    patches, figures = cut(pixels, [centre for centre, _, _ in BY_HAND.values()], [Window(4, 4, 1)], tmp_path)
    for patch, (name, (_, rows, columns)) in zip(patches["patches_4"], BY_HAND.items(), strict=True):
        expected = [[10 * row + column for column in columns] for row in rows]
        assert patch[..., 0].tolist() == expected, name
    inside = [name == "inside" or name.startswith("touching") for name in BY_HAND]
    assert figures["at_border"].tolist() == [not flag for flag in inside]


def test_spots_in_any_order_and_several_scales_in_one_pass(tmp_path: Path) -> None:
    pixels = noise(700, 300)
    random = np.random.default_rng(1)
    centres = np.column_stack([random.uniform(0, 300, 80), random.uniform(0, 700, 80)])
    windows = [Window(5, 5, 1), Window(32, 32, 1), Window(101, 101, 1)]
    patches, figures = cut(pixels, centres, windows, tmp_path)
    for window in windows:
        for spot, centre in enumerate(centres):
            expected = mirrored(pixels, centre, window.window_px)
            assert np.array_equal(patches[window.dataset][spot], expected), (window, centre)
    first = np.rint(centres - 101 / 2)
    assert np.array_equal(figures["at_border"], (first < 0).any(1) | (first + 101 > (300, 700)).any(1))
    assert 10 < figures["at_border"].sum() < 70


def test_one_scale_does_not_depend_on_the_others(tmp_path: Path) -> None:
    pixels, centres = noise(60, 60), [(3, 57), (30, 2), (58.4, 59.9), (0, 60)]
    alone, _ = cut(pixels, centres, [Window(8, 8, 1)], tmp_path)
    together, _ = cut(pixels, centres, [Window(8, 8, 1), Window(40, 40, 1)], tmp_path)
    assert np.array_equal(alone["patches_8"], together["patches_8"])


def test_a_window_larger_than_the_image(tmp_path: Path) -> None:
    pixels = noise(9, 6)
    patches, figures = cut(pixels, [(3, 4)], [Window(30, 30, 1)], tmp_path)
    assert np.array_equal(patches["patches_30"][0], mirrored(pixels, (3, 4), 30))
    assert figures["at_border"].all()


def test_an_image_of_one_pixel(tmp_path: Path) -> None:
    patches, _ = cut(np.full((1, 1, 3), 7, np.uint8), [(0, 0)], [Window(4, 4, 1)], tmp_path)
    assert (patches["patches_4"] == 7).all()


def test_a_spot_outside_the_image_is_flagged_and_changes_no_other(tmp_path: Path) -> None:
    pixels = noise(50, 40)
    outside = [(-30, 20), (90, 20), (20, -300), (20, 400), (-500, -500), (900, 900)]
    patches, figures = cut(pixels, [(20, 25), *outside], [Window(8, 8, 1), Window(2, 2, 1)], tmp_path)
    assert np.array_equal(patches["patches_8"][0], pixels[21:29, 16:24])
    assert figures["at_border"].tolist() == [False] + [True] * len(outside)


def test_large_windows_are_averaged_by_hand(tmp_path: Path) -> None:
    grey = np.array([[1, 2, 10, 10], [3, 4, 10, 10], [0, 0, 255, 255], [0, 1, 255, 254]])
    patches, _ = cut(np.dstack([grey] * 3).astype(np.uint8), [(2, 2)], [Window(4, 4, 2)], tmp_path)
    # Means 2.5, 10, 0.25 and 254.75, to the nearest whole number, halves up.
    assert patches["patches_4"][0, ..., 0].tolist() == [[3, 10], [0, 255]]


def test_a_factor_of_three_equals_the_mean_of_the_blocks(tmp_path: Path) -> None:
    pixels = noise(60, 60)
    patches, _ = cut(pixels, [(30, 30)], [Window(24, 24, 3)], tmp_path)
    mean = pixels[18:42, 18:42].reshape(8, 3, 8, 3, 3).mean((1, 3))
    assert np.abs(patches["patches_24"][0] - mean).max() <= 0.5


def test_attributes_say_the_scale(tmp_path: Path) -> None:
    cut(noise(60, 60), [(30, 30)], [Window(24, 24, 3)], tmp_path)
    with h5py.File(tmp_path / "patches.h5") as file:
        assert dict(file["patches_24"].attrs) == {"patch_um": 24, "window_px": 24, "um_per_px": 3.0}


def test_an_image_that_breaks_off_leaves_no_patches(tmp_path: Path) -> None:
    Image.fromarray(noise(900, 50)).save(tmp_path / "image.png")
    content = (tmp_path / "image.png").read_bytes()
    (tmp_path / "image.png").write_bytes(content[: len(content) * 2 // 3])
    centres = np.array([[25.0, 20.0], [25.0, 880.0]])
    with pytest.raises(EfnstError, match=r"Expected `image\.png` to be a readable image"):
        write_patches(
            tmp_path / "p.h5",
            tmp_path / "image.png",
            Places(np.array(["a", "b"]), centres, None),
            1.0,
            [Window(8, 8, 1)],
            1.0,
        )
    assert not (tmp_path / "p.h5").exists()


@pytest.mark.parametrize(
    ("patch_um", "um_per_px", "window_px", "shrink"),
    [
        (190, 3.8, 50, 1),  # the published window
        (190, 4.0, 48, 1),  # 47.5 px
        (55, 0.25, 220, 1),
        (256, 0.5, 512, 1),
        (257, 0.5, 514, 2),
        (190, 0.25, 760, 2),
        (1000, 0.5, 2000, 4),
        (1001, 0.5, 2000, 4),  # 2002 px is no multiple of 4: the nearest one
    ],
)
def test_the_size_of_a_window(patch_um: float, um_per_px: float, window_px: int, shrink: int) -> None:
    window = window_of(patch_um, um_per_px)
    assert (window.window_px, window.shrink, window.stored_px) == (window_px, shrink, window_px // shrink)


def test_a_window_of_too_few_pixels_is_refused() -> None:
    assert window_of(40, 10).window_px == 4
    with pytest.raises(EfnstError, match=r"A patch of 39 µm is 3\.9 px in this image \(10 µm per px\), expected at"):
        window_of(39, 10)


@pytest.mark.parametrize(
    ("colour", "is_tissue"),
    [
        ((255, 255, 255), False),
        ((215, 215, 215), False),
        ((214, 215, 215), True),  # not bright
        ((235, 215, 225), False),
        ((236, 215, 225), True),  # coloured
        ((0, 0, 0), True),
        ((230, 150, 200), True),
    ],
)
def test_what_is_tissue(colour: tuple[int, int, int], is_tissue: bool) -> None:
    assert (is_glass(np.full((3, 4, 3), colour, np.uint8)) == (not is_tissue)).all()


def test_tissue_fraction_is_that_of_the_first_window(tmp_path: Path) -> None:
    pixels = np.full((40, 40, 3), 250, np.uint8)
    pixels[:, :20] = (200, 100, 160)
    centres = [(20, 20), (10, 20), (30, 20), (18, 20)]
    _, figures = cut(pixels, centres, [Window(8, 8, 1), Window(20, 20, 1)], tmp_path)
    assert figures["tissue_fraction"].tolist() == [0.5, 1.0, 0.0, 0.75]


def test_the_variance_of_the_laplacian_by_hand() -> None:
    grey = np.array([[0, 0, 0, 0], [0, 100, 40, 0], [0, 0, 0, 0]])
    patch = np.dstack([grey] * 3).astype(np.uint8)
    # Inner pixels: 0 + 0 + 0 + 40 - 400 = -360 and 100 - 160 = -60: deviations of 150 from their mean.
    assert laplacian_variance(patch) == pytest.approx(150**2, rel=1e-5)
    green = np.zeros((3, 4, 3), np.uint8)
    green[1, 1, 1] = 100  # a luminance of 58.7: -234.8 and 58.7
    assert laplacian_variance(green) == pytest.approx(((58.7 + 234.8) / 2) ** 2, rel=1e-5)
    assert laplacian_variance(np.full((9, 9, 3), 77, np.uint8)) == pytest.approx(0, abs=1e-6)


def test_a_blurred_patch_has_a_smaller_variance_of_the_laplacian() -> None:
    sharp = noise(40, 40)
    blurred = (sharp[:-1, :-1] // 4 + sharp[1:, :-1] // 4 + sharp[:-1, 1:] // 4 + sharp[1:, 1:] // 4).astype(np.uint8)
    assert laplacian_variance(blurred) < laplacian_variance(sharp) / 3


def test_the_figures_of_the_spots_are_stored_in_their_order(tmp_path: Path) -> None:
    pixels = noise(60, 60)
    pixels[:, 30:] = 250
    centres = [(15, 50), (45, 30), (2, 10), (30, 30)]
    patches, figures = cut(pixels, centres, [Window(10, 10, 1), Window(12, 12, 3)], tmp_path)
    with h5py.File(tmp_path / "patches.h5") as file:
        for name in ("tissue_fraction", "laplacian_variance", "at_border"):
            assert np.array_equal(file[name][:], figures[name])
    expected = [laplacian_variance(patch) for patch in patches["patches_10"]]
    assert figures["laplacian_variance"] == pytest.approx(expected)
    assert figures["tissue_fraction"] == pytest.approx([1 - is_glass(patch).mean() for patch in patches["patches_10"]])
    assert figures["at_border"].tolist() == [False, False, True, False]


def test_the_sample_of_tissue_is_bounded_seeded_and_holds_no_glass(tmp_path: Path) -> None:
    pixels = noise(80, 80) // 2
    pixels[:, 40:] = 250
    centres = [(x, y) for x in (20, 40, 60) for y in (20, 40, 60)]
    _, first = cut(pixels, centres, [Window(16, 16, 1)], tmp_path)
    _, again = cut(pixels, centres, [Window(16, 16, 1)], tmp_path)
    sample = first["tissue_px"]
    assert sample.dtype == np.uint8 and np.array_equal(sample, again["tissue_px"])
    # A third of the places are in patches of glass, and half of those of another third are.
    assert len(sample) == pytest.approx(STAIN_SAMPLE_PX / 2, rel=0.02) and sample.max() <= 127
    tissue = np.concatenate([pixels[y - 8 : y + 8, 12:40].reshape(-1, 3) for y in (20, 40, 60)])
    assert sample.mean(0) == pytest.approx(tissue.mean(0), rel=0.05)
    _, glass = cut(pixels, [(60, 20)], [Window(16, 16, 1)], tmp_path)
    assert glass["tissue_px"].shape == (0, 3)


def test_patch_sizes() -> None:
    assert patch_sizes("190") == [190.0]
    assert patch_sizes("380, 100,190,100") == [100.0, 190.0, 380.0]


@pytest.mark.parametrize("text", ["", "190,", "large", "0", "-5", "100,-1", "nan", "inf", "190;380"])
def test_patch_sizes_that_are_none(text: str) -> None:
    with pytest.raises(EfnstError, match="Expected patch_um to be one or more widths in µm") as caught:
        patch_sizes(text)
    assert f"found `{text}`" in str(caught.value)


def summary_of(fractions: list[float], windows: list[Window]) -> dict:
    figures = {
        "tissue_fraction": np.array(fractions),
        "laplacian_variance": np.arange(5.0),
        "at_border": np.arange(len(fractions)) < 2,
    }
    return summarise_patches(figures, windows)


def test_the_summary() -> None:
    summary = summary_of([0.0, 0.25, 0.5, 0.75, 1.0], [window_of(190, 3.8), window_of(190, 0.25)])
    assert summary == {
        "patches": [
            {"patch_um": 190, "window_px": 50, "stored_px": 50},
            {"patch_um": 190, "window_px": 760, "stored_px": 380},
        ],
        "tissue_fraction": [0.0, 0.25, 0.5, 0.75, 1.0],
        "laplacian_variance": [0.0, 1.0, 2.0, 3.0, 4.0],
        "patches_per_spot": 1,
        "n_spots_at_border": 2,
        "n_background_patches": 1,
        "warnings": [],
    }


def test_spots_with_several_patches_count_once() -> None:
    at_border = np.zeros(14, bool)
    at_border[[3, 5]] = True
    figures = {"tissue_fraction": np.ones(14), "laplacian_variance": np.ones(14), "at_border": at_border}
    assert summarise_patches(figures, [window_of(112, 2)], 7)["n_spots_at_border"] == 1


def test_many_patches_of_glass_call_for_a_warning() -> None:
    window = [window_of(190, 3.8)]
    assert summary_of([0.0, 1.0, 1.0, 1.0], window)["warnings"] == []
    assert summary_of([0.0, 0.04, 1.0, 1.0], window)["warnings"] == [
        "2 of 4 patches show less than 5% tissue: is this the right image?"
    ]


def test_small_windows_call_for_a_warning() -> None:
    assert summary_of([1.0], [window_of(64, 2)])["warnings"] == []
    (warning,) = summary_of([1.0], [window_of(190, 3.8), window_of(62, 2)])["warnings"]
    assert warning.startswith("A patch is only 31 px wide in this image")
