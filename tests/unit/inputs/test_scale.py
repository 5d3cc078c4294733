"""The scale in µm of sections of which only a part of the spots or bins is there."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from efnst.inputs.section import load_section
from efnst.simulation.forms import to_anndata
from efnst.simulation.space_ranger import SMALL, simulate_section
from efnst.simulation.visium_hd import write_visium_hd


def facts_of(path: Path, **options: object) -> dict:
    """What is known of a section that gives no warning about its scale."""
    section, _, warnings = load_section("S1", path, "none", "", with_counts=False, **options)
    assert not [line for line in warnings if "px" in line]
    return section.uns["section"]


@pytest.fixture(scope="module")
def whole(simulated_folder: Callable[[int], Path]) -> tuple[AnnData, dict]:
    """A simulated Visium section as AnnData, and the facts that its folder has."""
    data = to_anndata(simulated_folder(1) / "outs")
    data.var_names_make_unique()
    return data, facts_of(simulated_folder(1))


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_an_h5ad_with_a_part_of_the_spots(share: float, whole: tuple[AnnData, dict], tmp_path: Path) -> None:
    data, facts = whole
    data[np.random.default_rng(0).random(data.n_obs) < share].write_h5ad(tmp_path / "s.h5ad")
    found = facts_of(tmp_path / "s.h5ad")
    assert found["grid"] == "hexagonal" and found["um_per_px"] == pytest.approx(facts["um_per_px"], rel=0.005)


@pytest.mark.parametrize(("factor", "n_warnings"), [(1.0, 0), (1.04, 0), (1.07, 1), (0.5, 1)])
def test_microns_per_pixel_is_compared_for_spots_too(
    factor: float, n_warnings: int, whole: tuple[AnnData, dict], simulated_folder: Callable[[int], Path], tmp_path: Path
) -> None:
    """It decides nothing: the scale is that of the distance between spots."""
    outs = shutil.copytree(simulated_folder(1) / "outs", tmp_path / "outs")
    path, facts = outs / "spatial" / "scalefactors_json.json", whole[1]
    declared = {"microns_per_pixel": factor * facts["um_per_px"]}
    path.write_text(json.dumps(json.loads(path.read_text()) | declared))
    section, about, warnings = load_section("S1", outs, "none", "", with_counts=False)
    assert section.uns["section"]["um_per_px"] == facts["um_per_px"]
    assert about["geometry"]["declared"]["um_per_px"] == declared["microns_per_pixel"]
    said = [text for text in warnings if "microns_per_pixel" in text]
    assert len(said) == n_warnings
    assert all("the spots lie" in text and "on a hexagonal grid" in text for text in said)


@pytest.fixture(scope="module")
def hd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated section of Visium HD, not to be changed."""
    folder = tmp_path_factory.mktemp("hd") / "section"
    write_visium_hd(simulate_section(0, 0, SMALL), folder, n_bins=600)
    return folder


@pytest.mark.parametrize("part", ["every fifth", "sparse"])
def test_positions_of_a_part_of_the_bins(part: str, hd: Path, tmp_path: Path) -> None:
    whole = facts_of(hd, bin_um="8")
    outs = shutil.copytree(hd / "outs", tmp_path / "outs")
    path = outs / "binned_outputs/square_008um/spatial/tissue_positions.parquet"
    table = pd.read_parquet(path)
    chosen = (
        (table[["array_row", "array_col"]] % 5 == 0).all(axis=1)
        if part == "every fifth"
        else pd.Series(np.random.default_rng(0).random(len(table)) < 0.1)
    )
    shrink_matrix(path.parents[1], table["barcode"][chosen & (table["in_tissue"] == 1)])
    table[chosen].to_parquet(path, index=False)
    found = facts_of(outs, bin_um="8")
    assert found["um_per_px"] == pytest.approx(whole["um_per_px"], rel=1e-3)
    assert found["pitch_px"] == pytest.approx(whole["pitch_px"], rel=1e-3)


def shrink_matrix(part: Path, barcodes: pd.Series) -> None:
    """Keep some barcodes of a matrix."""
    from dataclasses import replace

    from efnst.simulation.feature_matrix import read_matrix, write_matrix

    matrix, _ = read_matrix(part)
    kept = np.isin(matrix.barcodes, barcodes)
    write_matrix(replace(matrix, counts=matrix.counts[:, kept], barcodes=matrix.barcodes[kept]), part, "h5")
