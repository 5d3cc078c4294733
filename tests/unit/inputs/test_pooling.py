"""Bins and cells summed into units."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy.spatial.distance import pdist

from efnst.exports.tables import section_outlines
from efnst.genes.spatial_genes import touching_spots
from efnst.inputs.pooling import pool
from efnst.inputs.section import load_section
from efnst.simulation.space_ranger import SMALL, simulate_section
from efnst.simulation.visium_hd import write_visium_hd


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated section of Visium HD."""
    folder = tmp_path_factory.mktemp("hd") / "section"
    write_visium_hd(simulate_section(0, 0, SMALL), folder, n_bins=900)
    return folder


def read(folder: Path, bin_um: str = "") -> AnnData:
    labels = "" if bin_um else str(folder / "labels.csv")
    return load_section("S1", folder, "", labels, bin_um)[0]


def test_units_of_16_um_are_the_bins_of_16_um(folder: Path) -> None:
    """Space Ranger's own wider bins, which the generator sums by itself."""
    wide = read(folder, "16")
    units, bins = pool(read(folder), "16")
    assert units.X.sum() == bins.X.sum() == wide.X.sum()
    place = {(row, column): n for n, (row, column) in enumerate(wide.obs[["array_row", "array_col"]].to_numpy())}
    order = [place[tuple(at)] for at in units.obs[["array_row", "array_col"]].to_numpy()]
    assert len(order) == wide.n_obs and (wide.X[order] != units.X).nnz == 0
    np.testing.assert_allclose(units.obsm["spatial"], wide.obsm["spatial"][order])
    assert units.uns["section"]["pitch_px"] == pytest.approx(wide.uns["section"]["pitch_px"], rel=1e-3)


@pytest.mark.parametrize("change", ["none", "permuted"])
def test_an_array_that_puts_bins_elsewhere_makes_no_units(change: str, folder: Path) -> None:
    """They follow from the positions, as the warning of such a section says."""
    section = read(folder)
    array = section.obs[["array_row", "array_col"]].to_numpy()
    section.obs[["array_row", "array_col"]] = -1 if change == "none" else np.random.default_rng(0).permutation(array)
    units, bins = pool(section, "16")
    off = bins.obsm["spatial"] - units.obsm["spatial"][bins.obs["unit"]]
    assert np.abs(off).max() * bins.uns["section"]["um_per_px"] < 16
    assert units.obs["n_bins"].max() == 4 and (units.obs["array_row"] >= 0).all()


def test_a_unit_has_the_commonest_label_of_its_bins(folder: Path) -> None:
    units, bins = pool(read(folder), "24")
    for unit in (0, 5, units.n_obs - 1):
        inside = bins.obs["label"][bins.obs["unit"] == unit]
        assert units.obs["label"].iloc[unit] in inside.mode().tolist()
        assert units.obs["n_bins"].iloc[unit] == len(inside)


def test_the_facts_say_how_wide_units_are_and_why(folder: Path) -> None:
    units, bins = pool(read(folder), "auto")
    facts = units.uns["section"]
    assert facts["unit_um"] % 8 == 0 and "counts in half of the units" in facts["unit_reason"]
    assert facts["n_bins"] == bins.n_obs and bins.uns["section"]["pitch_px"] < facts["pitch_px"]
    assert facts["pitch_px"] * facts["um_per_px"] == pytest.approx(facts["unit_um"])


def test_the_width_of_the_bins_analyses_single_bins(folder: Path) -> None:
    section = read(folder)
    units, bins = pool(section, "8")
    assert bins is None and units.n_obs == section.n_obs and units.uns["section"]["unit_um"] == 8


def test_cells_are_summed_too(folder: Path) -> None:
    cells = read(folder, "cells")
    units, bins = pool(cells.copy(), "40")
    assert bins.n_obs == cells.n_obs and units.n_obs < cells.n_obs and units.X.sum() == cells.X.sum()
    assert units.uns["section"]["grid"] == "square" and bins.uns["section"]["grid"] == "irregular"


@pytest.mark.parametrize(("bin_um", "unit_um"), [("", "24"), ("cells", "16"), ("cells", "24")])
def test_units_lie_on_their_lattice_wherever_their_pieces_are(bin_um: str, unit_um: str, folder: Path) -> None:
    """So that areas, outlines and touching pairs are those of the squares, also at the edge and with a cell or two."""
    units, pieces = pool(read(folder, bin_um), unit_um)
    um_per_px, width = units.uns["section"]["um_per_px"], float(unit_um)
    places = units.obs[["array_row", "array_col"]].to_numpy()
    apart = pdist(units.obsm["spatial"]) * um_per_px
    np.testing.assert_allclose(apart, pdist(places) * width, rtol=2e-3)
    off = pieces.obsm["spatial"] - units.obsm["spatial"][pieces.obs["unit"]]
    assert np.abs(off).max() * um_per_px <= width / 2 * 1.01 and len(set(units.obs["n_bins"])) > 1

    touching = touching_spots(units.obsm["spatial"], units.uns["section"]["pitch_px"]).toarray()
    np.testing.assert_array_equal(touching[*np.triu_indices(units.n_obs, 1)], pdist(places, "chebyshev") == 1)
    units.obs["efnst"] = pd.Categorical(["1"] * units.n_obs)
    area_um = section_outlines(units)["efnst"][0].area * um_per_px**2
    assert area_um == pytest.approx(units.n_obs * width**2, rel=5e-3)


def test_spots_of_visium_are_units_as_they_are(simulated_folder: Callable[[int], Path]) -> None:
    section = load_section("S1", simulated_folder(1), "", "")[0]
    units, bins = pool(section, "auto")
    assert units is section and bins is None and "unit_um" not in section.uns["section"]
