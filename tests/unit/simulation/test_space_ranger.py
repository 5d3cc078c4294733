"""Simulated Space Ranger folders: layouts, scale and image."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from PIL import Image
from scipy.spatial import cKDTree
from tests.support.space_ranger import HIRES, MATRIX, SCALE, positions_of

from efnst.errors import EfnstError
from efnst.simulation.space_ranger import (
    CSV_FILE,
    LIST_FILE,
    SMALL,
    SimulatedSection,
    random_barcodes,
    scale_factors,
    section_name,
    simulate_section,
    write_section,
)
from efnst.simulation.specimen import Recipe


@pytest.fixture(params=["sim_layers", "sim_nested", "sim_mixed"])
def section(cohort: Path, request: pytest.FixtureRequest) -> Path:
    return cohort / request.param


def test_names_of_sections() -> None:
    assert [section_name(number) for number in (0, 2, 3, 7)] == [
        "sim_layers",
        "sim_mixed",
        "sim_layers_2",
        "sim_nested_3",
    ]


def test_barcodes_are_unlike_and_of_sixteen_letters() -> None:
    barcodes = random_barcodes(5000, np.random.default_rng(0))
    assert len(set(barcodes)) == 5000
    assert all(len(code) == 18 and code.endswith("-1") and set(code[:16]) <= set("ACGT") for code in barcodes)


def test_files_of_the_three_versions(cohort: Path) -> None:
    files = {
        name: {path.relative_to(cohort / name).as_posix() for path in (cohort / name).rglob("*") if path.is_file()}
        for name in ("sim_layers", "sim_nested", "sim_mixed")
    }
    common = {"labels.csv", f"outs/{MATRIX}", f"outs/{HIRES}", "outs/spatial/tissue_lowres_image.png", f"outs/{SCALE}"}
    assert files["sim_layers"] == common | {f"outs/spatial/{LIST_FILE}"}
    assert files["sim_nested"] == common | {f"outs/spatial/{CSV_FILE}"}
    assert files["sim_mixed"] == common | {f"outs/spatial/{CSV_FILE}", "outs/metrics_summary.csv"}


def test_headers_follow_the_version(cohort: Path) -> None:
    def first_cell(name: str, file: str) -> str:
        return (cohort / name / "outs" / "spatial" / file).read_text().split(",", 1)[0]

    assert len(first_cell("sim_layers", LIST_FILE)) == 18
    assert first_cell("sim_nested", CSV_FILE) == first_cell("sim_mixed", CSV_FILE) == "barcode"


def test_scanpy_reads_the_matrix(section: Path) -> None:
    adata = sc.read_10x_h5(section / "outs" / MATRIX)
    assert adata.shape == (250, 400)
    assert set(adata.var["feature_types"]) == {"Gene Expression"}
    assert adata.var["gene_ids"].is_unique
    assert adata.var_names.duplicated().sum() == 2
    assert adata.X.min() == 0
    assert np.array_equal(adata.X.data, np.rint(adata.X.data))


def test_matrix_has_the_tissue_spots_in_an_order_of_its_own(section: Path) -> None:
    adata = sc.read_10x_h5(section / "outs" / MATRIX)
    positions = positions_of(section / "outs")
    inside = positions.index[positions["in_tissue"] == 1]
    assert set(adata.obs_names) == set(inside)
    assert list(adata.obs_names) != list(inside)
    assert set(positions["in_tissue"]) == {0, 1}


def test_h5_has_every_part_of_the_10x_layout(section: Path) -> None:
    with h5py.File(section / "outs" / MATRIX) as file:
        assert set(file["matrix"]) == {"barcodes", "data", "indices", "indptr", "shape", "features"}
        assert set(file["matrix/features"]) == {"id", "name", "feature_type", "genome", "_all_tag_keys"}
        assert file["matrix/data"].dtype == np.int32
        assert file["matrix/shape"][:].tolist() == [400, 250]
        assert file.attrs["filetype"] == "matrix"


def test_mtx_folder_holds_the_same_counts(cohort: Path, as_mtx: Path) -> None:
    from_mtx = sc.read_10x_mtx(as_mtx / "outs" / "filtered_feature_bc_matrix", var_names="gene_ids")
    from_h5 = sc.read_10x_h5(cohort / "sim_layers" / "outs" / MATRIX)
    assert list(from_mtx.obs_names) == list(from_h5.obs_names)
    assert list(from_mtx.var_names) == list(from_h5.var["gene_ids"])
    assert (from_mtx.X != from_h5.X).nnz == 0


def test_pitch_and_spot_diameter_fit_each_other(section: Path) -> None:
    positions = positions_of(section / "outs")
    scale = json.loads((section / "outs" / SCALE).read_text())
    pixels = positions[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(float)
    distance = cKDTree(pixels).query(pixels, k=2)[0][:, 1]
    assert np.median(distance) == pytest.approx(200, abs=2)  # 100 µm at 0.5 µm per px
    assert scale["spot_diameter_fullres"] == 110  # 55 µm
    x_of_col = np.corrcoef(positions["array_col"], positions["pxl_col_in_fullres"])[0, 1]
    y_of_row = np.corrcoef(positions["array_row"], positions["pxl_row_in_fullres"])[0, 1]
    assert min(x_of_col, y_of_row) > 0.99


@pytest.mark.parametrize("image", ["hires", "lowres"])
def test_spots_fall_on_tissue_and_tissue_is_darker_than_glass(section: Path, image: str) -> None:
    outs = section / "outs"
    pixels = np.asarray(Image.open(outs / "spatial" / f"tissue_{image}_image.png").convert("L")).astype(float)
    scale = json.loads((outs / SCALE).read_text())[f"tissue_{image}_scalef"]
    positions = positions_of(outs)
    x, y = (positions[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(float) * scale).T
    assert x.min() > 0 and y.min() > 0 and x.max() < pixels.shape[1] and y.max() < pixels.shape[0]
    reach = round(30 * 2 * scale)  # 30 µm
    brightness = np.array(
        [
            pixels[max(0, int(b) - reach) : int(b) + reach + 1, max(0, int(a) - reach) : int(a) + reach + 1].mean()
            for a, b in zip(x, y, strict=True)
        ]
    )
    inside = positions["in_tissue"].to_numpy() == 1
    assert np.percentile(brightness[inside], 95) < 220
    assert np.percentile(brightness[~inside], 25) > 235


def test_images_have_the_size_that_the_scales_say(section: Path) -> None:
    scale = json.loads((section / "outs" / SCALE).read_text())
    hires = Image.open(section / "outs" / HIRES).size
    lowres = Image.open(section / "outs" / "spatial" / "tissue_lowres_image.png").size
    assert scale["tissue_lowres_scalef"] / scale["tissue_hires_scalef"] == pytest.approx(0.3)
    np.testing.assert_allclose(np.array(lowres) / hires, 0.3, atol=0.002)


@pytest.mark.slow
def test_a_section_larger_than_8_mm_has_images_of_2000_and_600_px() -> None:
    section = simulate_section(0, 0, Recipe(n_spots=5500, n_genes=100))
    width, height = section.specimen.appearance.frame.size_um
    long_fullres_px = max(width, height) / 0.5
    assert long_fullres_px * scale_factors(section)["tissue_hires_scalef"] == pytest.approx(2000)
    assert long_fullres_px * scale_factors(section)["tissue_lowres_scalef"] == pytest.approx(600)


def test_regions_look_different(section: Path) -> None:
    """Mean redness lost under the spots of a region: spread between regions against the error of each mean."""
    outs = section / "outs"
    red = np.asarray(Image.open(outs / HIRES))[..., 0].astype(float)
    scale = json.loads((outs / SCALE).read_text())["tissue_hires_scalef"]
    labels = pd.read_csv(section / "labels.csv", index_col="barcode")["label"]
    positions = positions_of(outs).loc[labels.index]
    x, y = (positions[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(float) * scale).astype(int).T
    stain = pd.Series(
        [255 - red[b - 12 : b + 13, a - 12 : a + 13].mean() for a, b in zip(x, y, strict=True)], labels.index
    )
    by_region = stain.groupby(labels)
    between, error = by_region.mean().std(), (by_region.std() / np.sqrt(by_region.size())).mean()
    assert between > 3 * error


def test_labels_name_every_tissue_spot(section: Path) -> None:
    labels = pd.read_csv(section / "labels.csv")
    positions = positions_of(section / "outs")
    assert list(labels.columns) == ["barcode", "label"]
    assert list(labels["barcode"]) == list(positions.index[positions["in_tissue"] == 1])
    assert labels["label"].nunique() == {"sim_layers": 7, "sim_nested": 4, "sim_mixed": 5}[section.name]


def test_metrics_summary_agrees_with_the_matrix(cohort: Path) -> None:
    metrics = pd.read_csv(cohort / "sim_mixed" / "outs" / "metrics_summary.csv")
    adata = sc.read_10x_h5(cohort / "sim_mixed" / "outs" / MATRIX)
    assert metrics.loc[0, "Number of Spots Under Tissue"] == adata.n_obs
    assert metrics.loc[0, "Median UMI Counts per Spot"] == np.median(np.asarray(adata.X.sum(axis=1)))


@pytest.fixture(scope="module")
def fine() -> SimulatedSection:
    """A section whose full-resolution image has twice the pixels of the hires image a side."""
    return simulate_section(0, 0, replace(SMALL, um_per_px=2.0))


@pytest.mark.parametrize(("kind", "suffix"), [("tiff", ".tif"), ("jpeg", ".jpg")])
def test_full_resolution_image_is_the_hires_image_in_fine(
    fine: SimulatedSection, tmp_path: Path, kind: str, suffix: str
) -> None:
    path = write_section(fine, tmp_path / "fine", fullres=kind)
    assert path is not None and path.suffix == suffix
    fullres, hires = Image.open(path), Image.open(tmp_path / "fine" / "outs" / HIRES)
    if kind == "tiff":
        assert 322 in fullres.tag_v2  # TileWidth
    assert json.loads((tmp_path / "fine" / "outs" / SCALE).read_text())["tissue_hires_scalef"] == pytest.approx(0.5)
    shrunk = fullres.resize(hires.size, Image.Resampling.BOX)
    difference = np.asarray(shrunk).astype(float) - np.asarray(hires)
    assert np.corrcoef(np.asarray(shrunk).ravel(), np.asarray(hires).ravel())[0, 1] > 0.9
    assert np.abs(difference).mean() < 8


def test_too_large_full_resolution_image_is_refused(tmp_path: Path) -> None:
    section = simulate_section(0, 0, replace(SMALL, um_per_px=0.1))
    with pytest.raises(EfnstError, match="at most 150 megapixels"):
        write_section(section, tmp_path / "huge", fullres="tiff")


def test_repeated_layout_is_the_same_tissue_in_another_shape() -> None:
    first, again = simulate_section(0, 0, SMALL), simulate_section(3, 0, SMALL)
    assert not np.array_equal(first.specimen.tissue.spot_region, again.specimen.tissue.spot_region)

    def profile(section: SimulatedSection) -> pd.DataFrame:
        counts = section.specimen.counts.toarray()
        usual = counts.sum(axis=1) > 500
        logs = np.log1p(1e4 * counts[usual] / counts[usual].sum(axis=1, keepdims=True))
        return pd.DataFrame(logs - logs.mean(axis=0)).groupby(section.labels["label"].to_numpy()[usual]).mean()

    own, other = profile(first), profile(again)
    likeness = np.corrcoef(own, other)[: len(own), len(own) :]
    assert np.array_equal(likeness.argmax(axis=1), np.arange(len(own)))


def test_a_pair_is_named_beside_the_labels(tmp_path: Path) -> None:
    recipe = replace(SMALL, separated_by="space")
    write_section(simulate_section(2, 0, recipe), tmp_path / "sim_mixed")
    assert json.loads((tmp_path / "sim_mixed" / "pair.json").read_text()) == {
        "separated_by": "space",
        "labels": ["layer_2", "layer_3"],
    }
    sizes = pd.read_csv(tmp_path / "sim_mixed" / "labels.csv")["label"].value_counts()
    assert sizes["layer_2"] + sizes["layer_3"] > 0.4 * 250
    assert simulate_section(5, 0, recipe).pair["labels"] == ["layer_2", "layer_3"]
