"""Every damage of a Space Ranger folder."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from PIL import Image, UnidentifiedImageError
from tests.support.space_ranger import HIRES, MATRIX, SCALE, positions_of

from efnst.errors import EfnstError
from efnst.simulation.damage import DAMAGES, damage
from efnst.simulation.feature_matrix import read_matrix
from efnst.simulation.space_ranger import CSV_FILE, LIST_FILE, POSITION_COLUMNS


def test_damage_needs_a_known_kind_and_a_section(outs: Path, tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match="found `burnt`"):
        damage(outs, "burnt")
    with pytest.raises(EfnstError, match="Expected a Space Ranger folder"):
        damage(tmp_path / "nothing", "empty_matrix")


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("name", ["sim_layers", "sim_mixed"])
def test_every_damage_changes_the_folder_it_is_given(cohort: Path, tmp_path: Path, kind: str, name: str) -> None:
    shutil.copytree(cohort / name / "outs", tmp_path / "outs")

    def content() -> dict[str, bytes]:
        return {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    before = content()
    damage(tmp_path / "outs", kind)
    assert content() != before


def test_missing_files(outs: Path) -> None:
    damage(outs, "missing_matrix")
    damage(outs, "missing_positions")
    damage(outs, "missing_scalefactors")
    damage(outs, "missing_images")
    assert [path for path in outs.rglob("*") if path.is_file()] == []


def test_truncated_h5_cannot_be_opened(outs: Path) -> None:
    damage(outs, "truncated_h5")
    with pytest.raises(OSError):
        h5py.File(outs / MATRIX)


def test_empty_matrix_has_spots_and_genes_but_no_count(outs: Path) -> None:
    damage(outs, "empty_matrix")
    adata = sc.read_10x_h5(outs / MATRIX)
    assert adata.shape == (250, 400)
    assert adata.X.sum() == 0


def test_no_spots_in_tissue(outs: Path) -> None:
    before = positions_of(outs)
    damage(outs, "no_spots_in_tissue")
    after = positions_of(outs)
    assert set(after["in_tissue"]) == {0}
    pd.testing.assert_frame_equal(after.drop(columns="in_tissue"), before.drop(columns="in_tissue"))


def test_corrupt_image_has_a_header_but_no_end(outs: Path) -> None:
    damage(outs, "corrupt_image")
    image = Image.open(outs / HIRES)
    with pytest.raises((OSError, UnidentifiedImageError, SyntaxError)):
        image.load()
    Image.open(outs / "spatial" / "tissue_lowres_image.png").load()


def test_wrong_scale_puts_spots_outside_the_image(outs: Path) -> None:
    damage(outs, "wrong_scale")
    width, height = Image.open(outs / HIRES).size
    scale = json.loads((outs / SCALE).read_text())["tissue_hires_scalef"]
    positions = positions_of(outs)
    positions = positions[positions["in_tissue"] == 1]
    outside = (positions["pxl_col_in_fullres"] * scale > width) | (positions["pxl_row_in_fullres"] * scale > height)
    assert outside.mean() > 0.5


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("negative_counts", lambda data: data < 0),
        ("fractional_counts", lambda data: data != np.rint(data)),
        ("nan_counts", np.isnan),
    ],
)
@pytest.mark.parametrize("matrix", ["h5", "mtx"])
def test_wrong_numbers_in_either_kind_of_matrix(
    cohort: Path, as_mtx: Path, tmp_path: Path, kind: str, wrong: Callable[[np.ndarray], np.ndarray], matrix: str
) -> None:
    outs = tmp_path / "outs"
    shutil.copytree((as_mtx if matrix == "mtx" else cohort / "sim_layers") / "outs", outs)
    assert not wrong(read_matrix(outs)[0].counts.data).any()
    damage(outs, kind)
    if matrix == "h5":
        data = sc.read_10x_h5(outs / MATRIX).X.data
    else:
        data = sc.read_10x_mtx(outs / "filtered_feature_bc_matrix").X.data
    assert wrong(data).sum() > 10


def test_foreign_barcodes_are_in_no_position(outs: Path) -> None:
    damage(outs, "foreign_barcodes")
    adata = sc.read_10x_h5(outs / MATRIX)
    assert adata.n_obs == 250
    assert adata.obs_names.is_unique
    assert not adata.obs_names.isin(positions_of(outs).index).any()


def test_duplicate_barcodes(outs: Path) -> None:
    damage(outs, "duplicate_barcodes")
    assert sc.read_10x_h5(outs / MATRIX).obs_names.duplicated().sum() == 1


@pytest.mark.parametrize("name", ["sim_layers", "sim_nested"])
@pytest.mark.parametrize(
    ("kind", "file", "header"), [("header_in_list_file", LIST_FILE, 0), ("no_header_in_csv", CSV_FILE, None)]
)
def test_headers_against_the_name(
    cohort: Path, tmp_path: Path, name: str, kind: str, file: str, header: int | None
) -> None:
    shutil.copytree(cohort / name / "outs", tmp_path / "outs")
    before = positions_of(tmp_path / "outs")
    damage(tmp_path / "outs", kind)
    assert [path.name for path in (tmp_path / "outs" / "spatial").glob("tissue_positions*")] == [file]
    first = (tmp_path / "outs" / "spatial" / file).read_text().split(",", 1)[0]
    assert (first == "barcode") == (header == 0)
    after = pd.read_csv(
        tmp_path / "outs" / "spatial" / file, header=header, names=POSITION_COLUMNS, index_col="barcode"
    )
    pd.testing.assert_frame_equal(after, before)


def test_antibody_features_leave_the_genes_alone(cohort: Path, outs: Path) -> None:
    damage(outs, "antibody_features")
    everything = sc.read_10x_h5(outs / MATRIX, gex_only=False)
    assert (everything.var["feature_types"] == "Antibody Capture").sum() == 10
    genes = sc.read_10x_h5(outs / MATRIX)
    assert (genes.X != sc.read_10x_h5(cohort / "sim_layers" / "outs" / MATRIX).X).nnz == 0


def test_truncated_mtx_ends_early(outs: Path) -> None:
    damage(outs, "truncated_mtx_gz")
    assert not (outs / MATRIX).exists()
    with pytest.raises(EOFError):
        gzip.decompress((outs / "filtered_feature_bc_matrix" / "matrix.mtx.gz").read_bytes())


def test_invalid_scalefactors(outs: Path) -> None:
    damage(outs, "invalid_scalefactors_json")
    with pytest.raises(json.JSONDecodeError):
        json.loads((outs / SCALE).read_text())
