"""Positions that are rows and columns of the array where pixels should stand."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData

from efnst.errors import EfnstError
from efnst.inputs.section import load_section
from efnst.simulation.forms import to_anndata


@pytest.fixture
def data(simulated_folder: Callable[[int], Path]) -> AnnData:
    """A section whose positions are columns and rows."""
    data = to_anndata(simulated_folder(1) / "outs")
    data.obsm["spatial"] = data.obs[["array_col", "array_row"]].to_numpy(float)
    return data


def read(data: AnnData, folder: Path, image: str = "none", bin_um: str = "") -> tuple[AnnData, list[str]]:
    data.var_names_make_unique()
    data.write_h5ad(folder / "s.h5ad")
    section, _, warnings = load_section("S1", folder / "s.h5ad", image, "", bin_um)
    return section, warnings


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)], ids=["x y", "y x"])
@pytest.mark.parametrize("share", [1, 0.3])
def test_they_become_um_where_no_image_has_to_fit(order: slice, share: float, data: AnnData, tmp_path: Path) -> None:
    data = data[np.random.default_rng(0).random(data.n_obs) < share].copy()
    data.obsm["spatial"] = data.obsm["spatial"][:, order].copy()
    section, warnings = read(data, tmp_path)
    facts = section.uns["section"]
    assert facts["grid"] == "hexagonal" and facts["um_per_px"] == pytest.approx(1) and facts["in_um"] is True
    expected = data.obs[["array_col", "array_row"]].to_numpy() * [50, 50 * np.sqrt(3)]
    assert np.allclose(section.obsm["spatial"], expected)
    assert warnings == [
        "The positions are places on the array and no pixels: they were taken as such, one µm for each px."
    ]


def test_regions_in_px_do_not_fit_them(data: AnnData, tmp_path: Path) -> None:
    """They were laid over the µm, and spots had the labels of other places."""
    ring = [[0, 0], [9e4, 0], [9e4, 9e4], [0, 9e4], [0, 0]]
    drawn = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    (tmp_path / "r.geojson").write_text(json.dumps(drawn | {"properties": {"classification": "Tumor"}}))
    data.write_h5ad(tmp_path / "s.h5ad")
    with pytest.raises(EfnstError, match="by barcodes, as its positions are places on the array, found regions in px"):
        load_section("S1", tmp_path / "s.h5ad", "none", str(tmp_path / "r.geojson"))


def test_they_are_refused_with_an_image_and_without_the_array(data: AnnData, tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"px in s.h5ad, found places on the array \(whole numbers from \d+ to \d+\)"):
        read(data, tmp_path, image="")
    data.obs = data.obs[["in_tissue"]]
    with pytest.raises(EfnstError, match="the columns array_row and array_col in obs the places will do"):
        read(data, tmp_path)


@pytest.mark.parametrize(("bin_um", "um"), [("8", 8), ("", 200)])
def test_places_of_bins_and_of_legacy_spots(bin_um: str, um: float, tmp_path: Path) -> None:
    columns, rows = np.meshgrid(np.arange(12.0), np.arange(9.0))
    data = AnnData(np.ones((108, 3), np.float32))
    data.obsm["spatial"] = np.column_stack([columns.ravel(), rows.ravel()])
    section, warnings = read(data, tmp_path, bin_um=bin_um)
    assert section.uns["section"]["grid"] == "square" and section.uns["section"]["um_per_px"] == pytest.approx(1)
    assert np.allclose(section.obsm["spatial"], data.obsm["spatial"] * um)
    assert len(warnings) == 1 and "places on the array" in warnings[0]
