"""Stain, nuclei and image of the simulated tissue."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter

from efnst.simulation.regions import OUTSIDE
from efnst.simulation.specimen import Recipe, Specimen, simulate_specimen
from efnst.simulation.stained_image import Stain, render_image, separate_stain, simulate_appearance

STAIN = Stain(
    nuclei_per_mm2=np.array([3000, 2000, 4000, 5000]),
    radius_um=np.array([3.0, 3.1, 3.2, 3.3]),
    darkness=np.array([0.8, 0.9, 1.0, 0.7]),
    eosin=np.array([0.3, 0.4, 0.5, 0.6]),
    fibres=np.array([0.1, 0.2, 0.3, 0.4]),
    gaps=np.array([0.0, 0.01, 0.02, 0.03]),
)


def test_stain_of_a_pair_that_the_image_tells_apart_by_hand() -> None:
    stain = separate_stain(STAIN, (1, 2), "image")
    assert stain.nuclei_per_mm2.tolist() == [3000, 2000, 5000, 4000]  # 5000 and 4000 change places
    assert stain.eosin.tolist() == [0.5, 0.6, 0.3, 0.4]  # 0.6 and 0.4, then 0.3 and 0.5
    for name in ("radius_um", "darkness", "fibres", "gaps"):
        assert getattr(stain, name).tolist() == getattr(STAIN, name).tolist(), name
    assert stain.drift == 0


@pytest.mark.parametrize("source", ["expression", "space"])
def test_stain_of_a_pair_that_looks_alike(source: str) -> None:
    stain = separate_stain(STAIN, (1, 2), source)
    assert stain.drift == 0
    for name, values in vars(stain).items():
        if name != "drift":
            first, own, _, last = getattr(STAIN, name)
            assert values.tolist() == [first, own, own, last], name


@cache
def specimen_of(n_spots: int = 400) -> Specimen:
    return simulate_specimen(
        "layers", Recipe(n_spots=n_spots, n_genes=100, n_regions=5), *np.random.default_rng(2).spawn(2)
    )


def test_frame_turns_and_shifts_without_stretching() -> None:
    frame = specimen_of().appearance.frame
    points = np.array([[0.0, 0.0], [300.0, 400.0]])
    moved = frame.to_image(points)
    assert np.hypot(*(moved[1] - moved[0])) == pytest.approx(500.0)
    np.testing.assert_allclose(frame.to_image(frame.centre_um[None]), frame.target_um[None])
    turn = np.arctan2(*(moved[1] - moved[0])[::-1]) - np.arctan2(400, 300)
    assert turn == pytest.approx(frame.angle)


def test_nuclei_lie_where_the_tissue_is_and_as_dense_as_the_stain_says() -> None:
    specimen = specimen_of()
    appearance, tissue = specimen.appearance, specimen.tissue
    area_mm2 = np.sum(tissue.raster != OUTSIDE) * (tissue.raster_um / 1000) ** 2
    assert 1800 < len(appearance.nuclei_um) / area_mm2 < 5200
    assert np.all(np.diff(appearance.nuclei_um[:, 1]) >= 0)


def test_without_drift_the_eosin_is_even() -> None:
    specimen = specimen_of()
    tissue, step = specimen.tissue, specimen.tissue.raster_um
    inner = distance_transform_edt(tissue.raster != OUTSIDE) * step > 400
    even = Stain(*(np.full(5, value, np.float32) for value in (3000, 3.5, 0.9, 0.4, 0.2, 0.0)))
    spread = []
    for drift in (0.0, 1.0):
        stain = replace(even, drift=drift)
        eosin = simulate_appearance(tissue, stain, specimen.appearance.frame, np.random.default_rng(0)).eosin
        windows = gaussian_filter(eosin, 100 / step)[inner]
        spread.append(windows.std() / windows.mean())
    assert spread[0] < 0.03
    assert spread[1] > 0.07


def test_image_shows_the_nuclei_at_their_places() -> None:
    appearance = specimen_of().appearance
    image = render_image(appearance, 2.0, np.random.default_rng(0)).astype(float)
    red = image[..., 0]  # haematoxylin takes red away, eosin hardly does
    row, column = (appearance.nuclei_um[:, ::-1] / 2.0).astype(int).T
    tissue = red < 235
    assert red[row, column].mean() < red[tissue].mean() - 30


def test_strips_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    appearance = specimen_of(250).appearance
    whole = render_image(appearance, 4.0, np.random.default_rng(0)).astype(float)
    monkeypatch.setattr("efnst.simulation.stained_image.STRIP_ROWS", 64)
    strips = render_image(appearance, 4.0, np.random.default_rng(0)).astype(float)
    assert whole.shape == strips.shape
    difference = np.abs(whole - strips).mean(axis=(1, 2))  # noise alone: drawn anew in every strip
    seams = np.arange(64, len(difference) - 1, 64)
    assert difference[seams].mean() < 1.3 * difference.mean()
    assert difference.mean() < 6
