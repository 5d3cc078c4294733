"""Stains: found again in mixtures made of known ones, and brought to a reference without touching glass."""

from pathlib import Path

import numpy as np
import pytest
from tests.support.records import example

from efnst.errors import EfnstError
from efnst.image.stain.lab import lab
from efnst.image.stain.macenko import macenko_normaliser, macenko_statistics
from efnst.image.stain.normaliser import normaliser, read_normaliser
from efnst.image.stain.reinhard import FADE, reinhard_normaliser, reinhard_statistics
from efnst.image.stain.statistics import fit_reference, stain_statistics
from efnst.records.base import write_record
from efnst.records.quality import ImageQc, StainReference

# Unit vectors of optical density for red, green and blue (Ruifrok and Johnston 2001, rounded).
HAEMATOXYLIN, EOSIN = np.array([0.65, 0.70, 0.29]), np.array([0.27, 0.90, 0.34])
HAEMATOXYLIN, EOSIN = HAEMATOXYLIN / np.linalg.norm(HAEMATOXYLIN), EOSIN / np.linalg.norm(EOSIN)
METHODS = ("macenko", "reinhard")


def colours(density: np.ndarray) -> np.ndarray:
    """uint8 pixels of densities [n, 3]."""
    return (256 * 10.0**-density - 1).round().clip(0, 255).astype(np.uint8)


def section(haematoxylin: float, eosin: float, n_px: int = 20_000, seed: int = 0) -> np.ndarray:
    """uint8 pixels [n_px, 3] of a section whose stains have these concentrations at most; some have one stain only."""
    random = np.random.default_rng(seed)
    amounts = random.uniform(0.2, 1, (n_px, 2)) * (haematoxylin, eosin)
    amounts[: n_px // 10, 1] = 0
    amounts[n_px // 10 : n_px // 5, 0] = 0
    return colours(amounts @ np.stack([HAEMATOXYLIN, EOSIN]))


def every_kind_of_pixel() -> np.ndarray:
    """Random colours and all greys, uint8 [·, 3]."""
    random = np.random.default_rng(1).integers(0, 256, (200_000, 3), dtype=np.uint8)
    return np.concatenate([random, np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)])


@pytest.mark.parametrize(
    ("pixel", "expected"),  # of the tables for D65 in Lindbloom's calculator
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((128, 128, 128), (53.59, 0, 0)),
        ((1, 2, 3), (0.510, -0.122, -0.471)),
    ],
)
def test_lab_of_known_colours(pixel: tuple[int, int, int], expected: tuple[float, float, float]) -> None:
    assert lab(np.array([pixel], np.uint8))[0] == pytest.approx(expected, abs=0.03)


def test_the_stains_of_a_mixture_are_found_and_haematoxylin_is_the_first() -> None:
    found = macenko_statistics(section(1.2, 0.6))
    stains = np.array(found["stains"])
    assert np.linalg.norm(stains, axis=1) == pytest.approx([1, 1], abs=1e-4)
    assert np.degrees(np.arccos(stains[0] @ HAEMATOXYLIN)) < 2
    assert np.degrees(np.arccos(stains[1] @ EOSIN)) < 2
    assert found["concentrations"] == pytest.approx([1.2, 0.6], rel=0.05)


def test_statistics_do_not_depend_on_pale_pixels() -> None:
    tissue = section(1.2, 0.6)
    pale = np.full((5000, 3), (250, 225, 240), np.uint8)
    assert macenko_statistics(np.concatenate([tissue, pale])) == macenko_statistics(tissue)


def test_reinhard_statistics_are_mean_and_standard_deviation() -> None:
    pixels = np.array([(255, 0, 0), (0, 255, 0)] * 600, np.uint8)
    found = reinhard_statistics(pixels)
    assert found["mean"] == pytest.approx(((53.24 + 87.73) / 2, (80.09 - 86.18) / 2, (67.20 + 83.18) / 2), abs=0.02)
    assert found["sd"] == pytest.approx(((87.73 - 53.24) / 2, (80.09 + 86.18) / 2, (83.18 - 67.20) / 2), abs=0.02)


def test_too_little_tissue_gives_no_statistics_and_a_warning() -> None:
    assert stain_statistics(section(1, 0.6, 999)) == (
        None,
        ["Too little tissue for the stains: 999 px of the sample, 1000 are needed."],
    )
    assert stain_statistics(np.empty((0, 3), np.uint8))[0] is None
    found, warnings = stain_statistics(section(1, 0.6, 3000))
    assert found["n_px"] == 3000 and found["macenko"] and found["reinhard"] and warnings == []


ONE_STAIN = colours(np.linspace(0.3, 1.2, 5000)[:, None] * HAEMATOXYLIN)


@pytest.mark.parametrize(
    ("pixels", "method"),
    [
        (ONE_STAIN, "macenko"),
        (np.full((5000, 3), (150, 80, 130), np.uint8), "macenko"),
        (np.full((5000, 3), (150, 80, 130), np.uint8), "reinhard"),
        (np.full((5000, 3), 0, np.uint8), "macenko"),
        (np.full((5000, 3), (230, 190, 220), np.uint8), "macenko"),  # too pale
        (np.random.default_rng(0).integers(0, 256, (5000, 3), np.uint8), "macenko"),
    ],
)
def test_ill_conditioned_stains_are_none_with_a_warning(pixels: np.ndarray, method: str) -> None:
    found, warnings = stain_statistics(pixels)
    assert found[method] is None
    assert any(warning.endswith(f"no {method} statistics.") for warning in warnings)


@pytest.mark.parametrize("method", METHODS)
def test_a_section_equal_to_the_reference_does_not_change(method: str) -> None:
    found, _ = stain_statistics(section(1.2, 0.6))
    pixels = every_kind_of_pixel()
    same = normaliser(method, found, fit_reference([found]))(pixels)
    assert same.dtype == np.uint8 and same.shape == pixels.shape
    assert np.abs(same.astype(int) - pixels).max() <= 1


def test_macenko_scales_the_stains_as_computed_by_hand() -> None:
    stains = [HAEMATOXYLIN.tolist(), EOSIN.tolist()]
    source = {"stains": stains, "concentrations": [1.0, 0.5]}
    other = np.array([[0.55, 0.75, 0.35], [0.10, 0.95, 0.20]])
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    reference = {"stains": other.tolist(), "concentrations": [0.8, 0.75]}
    amounts = np.random.default_rng(0).uniform(0, 0.6, (500, 2))
    before = colours(amounts @ np.array(stains))
    after = macenko_normaliser(source, reference)(before)
    # 8-bit rounding of the darkest pixels grows with the concentrations.
    assert np.abs(after.astype(int) - colours(amounts * (0.8, 1.5) @ other)).max() <= 2


def test_macenko_equals_the_slow_and_obvious_way() -> None:
    first, second = (macenko_statistics(section(*amounts)) for amounts in ((1.2, 0.6), (0.9, 0.8)))
    pixels = every_kind_of_pixel()
    density = -np.log10((pixels + 1.0) / 256)
    stains, target = np.array(first["stains"]), np.array(second["stains"])
    amounts = np.linalg.lstsq(stains.T, density.T, rcond=None)[0].T
    residual = density - amounts @ stains
    scaled = amounts * second["concentrations"] / first["concentrations"]
    expected = (256 * 10 ** -(scaled @ target + residual) - 1).round().clip(0, 255)
    assert np.abs(macenko_normaliser(first, second)(pixels) - expected).max() <= 1


@pytest.mark.parametrize("method", METHODS)
def test_after_normalisation_the_statistics_are_those_of_the_reference(method: str) -> None:
    source, target = section(0.8, 0.4, seed=1), section(0.7, 0.5, seed=2)
    statistics = {"macenko": macenko_statistics, "reinhard": reinhard_statistics}[method]
    source = source[source.min(axis=1) <= FADE[0]]  # what Reinhard moves fully
    target = target[target.min(axis=1) <= FADE[0]]
    reference = fit_reference([stain_statistics(target)[0]])
    after = statistics(normaliser(method, stain_statistics(source)[0], reference)(source))
    for name, values in statistics(target).items():
        assert np.array(after[name]) == pytest.approx(np.array(values), rel=0.03, abs=0.3 * (method == "reinhard"))


@pytest.mark.parametrize("method", METHODS)
def test_glass_stays_glass(method: str) -> None:
    first, second = (stain_statistics(section(*amounts))[0] for amounts in ((0.8, 0.4), (1.3, 0.9)))
    normalise = normaliser(method, first, fit_reference([second]))
    glass = np.repeat(np.arange(240, 256, dtype=np.uint8)[:, None], 3, axis=1)
    after = normalise(glass)
    assert (after[-1] == 255).all()
    if method == "reinhard":
        assert np.array_equal(after, glass)
    assert after.min() >= 220 and np.ptp(after, axis=1).max() <= 20


@pytest.mark.parametrize("method", METHODS)
def test_batches_of_any_shape(method: str) -> None:
    found = [stain_statistics(section(*amounts))[0] for amounts in ((1.2, 0.6), (0.9, 0.8))]
    normalise = normaliser(method, found[0], fit_reference(found))
    batch = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 3), np.uint8)
    alone = [normalise(pixel[None]) for pixel in batch.reshape(-1, 3)]
    assert np.array_equal(normalise(batch), np.concatenate(alone).reshape(batch.shape))
    assert normalise(batch[:0]).shape == (0, 5, 7, 3)


def statistics_of(red: float, amount: float, lightness: float) -> dict:
    return {
        "n_px": 5,
        "macenko": {"stains": [[red, 0.8, 0.0], [0.0, 1.0, 0.0]], "concentrations": [amount, 1.0]},
        "reinhard": {"mean": [lightness, 10.0, -10.0], "sd": [5.0, 4.0, 3.0]},
    }


def test_the_reference_is_the_median_by_hand() -> None:
    sections = [statistics_of(0.6, 1.0, 60.0), statistics_of(0.0, 2.0, 70.0), statistics_of(0.7, 9.0, 50.0), None]
    reference = fit_reference([*sections, sections[0] | {"macenko": None}])
    assert reference["n_sections"] == 5
    # The median vector is (0.6, 0.8, 0), of length 1.
    assert reference["macenko"] == {"stains": [[0.6, 0.8, 0.0], [0.0, 1.0, 0.0]], "concentrations": [2.0, 1.0]}
    assert reference["reinhard"] == {"mean": [60.0, 10.0, -10.0], "sd": [5.0, 4.0, 3.0]}
    longer = fit_reference([statistics_of(0.6, 1, 60), statistics_of(1.8, 1, 60)])["macenko"]["stains"][0]
    assert longer == pytest.approx(np.array([1.2, 0.8, 0]) / np.hypot(1.2, 0.8), abs=1e-6)


def test_without_statistics_there_is_nothing_to_normalise() -> None:
    found = statistics_of(0.6, 1.0, 60.0)
    nothing = fit_reference([None, None])
    assert nothing == {"n_sections": 2, "macenko": None, "reinhard": None}
    assert normaliser("macenko", found, nothing) is None
    assert normaliser("macenko", None, fit_reference([found])) is None
    assert normaliser("macenko", found | {"macenko": None}, fit_reference([found])) is None
    assert normaliser("none", found, fit_reference([found])) is None


def test_reading_what_is_needed(tmp_path: Path) -> None:
    found = statistics_of(0.6, 1.0, 60.0)
    qc, reference = tmp_path / "image_qc.json", tmp_path / "stain_reference.json"
    write_record(qc, example(ImageQc, stain=found))
    write_record(reference, StainReference(**fit_reference([found])))
    white = np.full((1, 3), 255, np.uint8)
    assert np.array_equal(read_normaliser("reinhard", qc, reference)(white), white)
    assert read_normaliser("none", None, None) is None
    with pytest.raises(EfnstError, match=r"Expected image_qc\.json and stain_reference\.json .* found neither\. Give"):
        read_normaliser("macenko", None, None)
    with pytest.raises(EfnstError, match=r"for the stain normalisation `reinhard`, found one of them"):
        read_normaliser("reinhard", qc, None)
    with pytest.raises(
        EfnstError, match="Expected stain_normalisation to be one of none, macenko, reinhard, found `v`"
    ):
        read_normaliser("v", qc, reference)


def test_the_two_methods_are_apart() -> None:
    source, target = (stain_statistics(section(*amounts))[0] for amounts in ((1.2, 0.6), (0.9, 0.8)))
    pixels = section(1.2, 0.6, 100)
    after = [
        macenko_normaliser(source["macenko"], target["macenko"])(pixels),
        reinhard_normaliser(source["reinhard"], target["reinhard"])(pixels),
    ]
    assert not np.array_equal(*after) and all(not np.array_equal(one, pixels) for one in after)
