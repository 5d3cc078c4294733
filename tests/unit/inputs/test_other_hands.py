"""Sections that went through other hands: spreadsheets, R, Seurat, exports of other tools."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from PIL import Image
from scipy.io import mmread, mmwrite
from tests.support.space_ranger import HIRES, MATRIX, SCALE

from efnst.errors import EfnstError
from efnst.inputs.located import located
from efnst.inputs.positions import POSITION_COLUMNS, read_positions
from efnst.inputs.section import load_section
from efnst.simulation.feature_matrix import read_matrix, write_matrix
from efnst.simulation.forms import to_anndata, write_spatialdata

SEURAT = ["barcodes", "tissue", "row", "col", "imagerow", "imagecol"]
WAYS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    "semicolons and decimal commas": lambda table, path: table.to_csv(path, sep=";", decimal=",", index=False),
    "tabs": lambda table, path: table.to_csv(path, sep="\t", index=False),
    "numbered rows": lambda table, path: table.to_csv(path),
    "write.csv of a data.frame by barcode": lambda table, path: table.set_index("barcode").to_csv(path, index_label=""),
    "names of Seurat": lambda table, path: table.set_axis(SEURAT, axis=1).to_csv(path, index=False),
    "TRUE and FALSE": lambda table, path: table.assign(in_tissue=table["in_tissue"] == 1).to_csv(path, index=False),
    "write.table": lambda table, path: path.write_text(
        ",".join(f'"{name}"' for name in POSITION_COLUMNS[1:]) + "\n" + table.to_csv(index=False, header=False)
    ),
    "names of rows alone": lambda table, path: table.to_csv(path, header=False),
    "barcodes twice": lambda table, path: table.set_index("barcode", drop=False).to_csv(path, header=False),
    "write.table without names of columns": lambda table, path: table.assign(in_tissue=table["in_tissue"] == 1).to_csv(
        path, sep=";", decimal=",", header=False
    ),
    "parquet by barcode": lambda table, path: table.set_index("barcode").to_parquet(path),
    "parquet of factors": lambda table, path: table.astype({"barcode": "category"}).to_parquet(path),
}


@pytest.fixture
def outs(simulated_folder: Callable[[int], Path], tmp_path: Path) -> Path:
    """A copy of a simulated section, to be changed."""
    return shutil.copytree(simulated_folder(1) / "outs", tmp_path / "outs")


@pytest.fixture
def data(simulated_folder: Callable[[int], Path]) -> AnnData:
    data = to_anndata(simulated_folder(1) / "outs")
    data.var_names_make_unique()
    return data


def positions_file(outs: Path) -> Path:
    return next((outs / "spatial").glob("tissue_positions*"))


def read(path: Path, image: str = "") -> tuple[AnnData, list[str]]:
    section, _, warnings = load_section("S1", path, image, "")
    return section, warnings


def read_data(data: AnnData, folder: Path, image: str = "") -> tuple[AnnData, list[str]]:
    data.write_h5ad(folder / "s.h5ad")
    return read(folder / "s.h5ad", image)


@pytest.mark.parametrize("way", WAYS)
def test_positions_written_by_spreadsheets_and_r(way: str, outs: Path, tmp_path: Path) -> None:
    table = pd.read_csv(positions_file(outs))
    table["pxl_row_in_fullres"] += 0.5
    path = tmp_path / ("positions.parquet" if "parquet" in way else "positions.csv")
    WAYS[way](table, path)
    found, _ = read_positions(path)
    pd.testing.assert_frame_equal(found, table.set_index("barcode"), check_dtype=False)


def test_scale_factors_in_utf16(outs: Path) -> None:
    expected, _ = read(outs)
    (outs / SCALE).write_bytes((outs / SCALE).read_text().encode("utf-16"))
    assert read(outs)[0].uns["section"] == expected.uns["section"]


@pytest.mark.parametrize("line", ["0,0,1,0,0,5,5", "AAAC-1,1,0,0,5,5,5", "AAAC-1,1,0,0,5,5,x", "0,AAAC-1,1,0,0,5,5,5"])
def test_lists_without_a_header_that_are_not_clear(line: str, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(f"{line}\n")
    with pytest.raises(EfnstError, match=rf"Expected 6 columns \(.*\) in p\.csv, found {line.count(',') + 1} in"):
        read_positions(tmp_path / "p.csv")


def test_positions_in_utf16_are_named(outs: Path) -> None:
    pd.read_csv(positions_file(outs)).to_csv(positions_file(outs), index=False, encoding="utf-16")
    with pytest.raises(EfnstError, match=r"Expected UTF-8 text in tissue_positions\.csv, found UTF-16"):
        read(outs)


@pytest.mark.parametrize("shift", [0, 300])
def test_two_files_of_positions(shift: int, outs: Path) -> None:
    table = pd.read_csv(positions_file(outs))
    table[POSITION_COLUMNS[4:]] += shift
    table.to_csv(outs / "spatial" / "tissue_positions_list.csv", index=False, header=False)
    said = [
        "tissue_positions.csv was read; tissue_positions_list.csv beside it has other positions: remove the wrong one."
    ]
    assert read(outs)[1] == (said if shift else [])


@pytest.mark.parametrize("wrap", [str, lambda value: [value]], ids=["in quotes", "jsonlite"])
def test_scale_factors_written_by_r(wrap: Callable[[float], object], outs: Path) -> None:
    expected, _ = read(outs)
    factors = json.loads((outs / SCALE).read_text())
    (outs / SCALE).write_text(json.dumps({name: wrap(value) for name, value in factors.items()}))
    section, warnings = read(outs)
    assert warnings == [] and section.uns["section"] == expected.uns["section"]


@pytest.mark.parametrize("change", [lambda code: code[:-2], lambda code: f"S1_{code}"], ids=["no suffix", "prefix"])
def test_barcodes_with_other_affixes_are_matched_by_their_sequence(change: Callable[[str], str], outs: Path) -> None:
    expected, _ = read(outs)
    table = pd.read_csv(positions_file(outs))
    table["barcode"] = table["barcode"].map(change)
    table.to_csv(positions_file(outs), index=False)
    section, (warning,) = read(outs)
    assert "barcodes of the positions are written otherwise" in warning
    assert list(section.obs_names) == list(expected.obs_names)
    assert np.array_equal(section.obsm["spatial"], expected.obsm["spatial"])


def test_a_transposed_matrix_is_named(outs: Path) -> None:
    matrix, _ = read_matrix(outs)
    (outs / MATRIX).unlink()
    write_matrix(matrix, outs, "mtx")
    path = outs / "filtered_feature_bc_matrix" / "matrix.mtx.gz"
    with gzip.open(path) as file:
        counts = mmread(file).T.astype(int)
    with gzip.open(path, "wb") as file:
        mmwrite(file, counts)
    with pytest.raises(EfnstError, match=r"Expected genes × spots in matrix\.mtx\.gz, found spots × genes"):
        read(outs)


def test_positions_under_the_name_of_other_tools(data: AnnData, tmp_path: Path) -> None:
    expected = data.obsm.pop("spatial")
    data.obsm["X_spatial"] = expected
    section, warnings = read_data(data, tmp_path)
    assert warnings == [] and np.array_equal(section.obsm["spatial"], expected)


@pytest.mark.parametrize("scale", [0.5, 0.125], ids=["µm", "hires px"])
def test_positions_in_other_units_than_the_image_are_refused(scale: float, data: AnnData, tmp_path: Path) -> None:
    data.obsm["spatial"] = data.obsm["spatial"] * scale
    with pytest.raises(EfnstError, match=rf"found spots off the tissue .* to be {1 / scale:.2g} times as large"):
        read_data(data, tmp_path)
    section, (warning,) = read_data(data, tmp_path, "none")
    assert "spot_diameter_fullres" in warning and section.uns["section"]["grid"] == "hexagonal"


def test_normalised_and_rounded_values_are_a_warning(data: AnnData, tmp_path: Path) -> None:
    counts = data.X.toarray()
    data.X = np.rint(counts / counts.sum(axis=1, keepdims=True) * 10_000)
    _, (warning,) = read_data(data, tmp_path)
    assert "nearly the same sum of counts (" in warning


def test_an_image_with_its_channels_first(data: AnnData, tmp_path: Path) -> None:
    expected, _ = read_data(data, tmp_path)
    (library,) = data.uns["spatial"].values()
    library["images"]["hires"] = np.moveaxis(library["images"]["hires"], 2, 0).copy()
    section, warnings = read_data(data, tmp_path)
    assert warnings == [] and section.uns["section"]["image"] == expected.uns["section"]["image"]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.uint64, np.float32])
def test_an_image_of_12_bits(dtype: type, data: AnnData, tmp_path: Path) -> None:
    (library,) = data.uns["spatial"].values()
    eight = np.rint(library["images"]["hires"] * 255)
    alpha = np.full((*eight.shape[:2], 1), 2**16 - 1)
    library["images"]["hires"] = np.dstack([eight * 16 + 15, alpha]).astype(dtype)
    section, warnings = read_data(data, tmp_path)
    shown = np.asarray(Image.open(located(tmp_path / "s.h5ad", section.uns["section"]["image"]["file"])))
    assert warnings == [] and np.array_equal(shown[..., :3], eight) and (shown[..., 3] == 255).all()


PICTURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "int64": lambda image: image.astype(np.int64),
    "int16": lambda image: image.astype(np.int16),
    "grey": lambda image: image[..., 0],
    "grey with an axis": lambda image: image[..., :1].astype(np.int32),
    "bits": lambda image: image[..., 0] > 128,
    "transparent": lambda image: np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]).astype(np.uint32),
}


@pytest.mark.parametrize("form", PICTURES)
def test_an_image_of_any_type(form: str, data: AnnData, tmp_path: Path) -> None:
    (library,) = data.uns["spatial"].values()
    eight = np.rint(library["images"]["hires"] * 255).astype(np.uint8)
    library["images"]["hires"] = PICTURES[form](eight)
    section, warnings = read_data(data, tmp_path)
    shown = np.asarray(Image.open(located(tmp_path / "s.h5ad", section.uns["section"]["image"]["file"])))
    expected = np.squeeze(PICTURES[form](eight))
    assert warnings == [] and shown.dtype == np.uint8
    assert np.array_equal(shown, expected * 255 if form == "bits" else expected)


@pytest.mark.parametrize("wrong", [-1, 65_536])
def test_an_image_of_other_numbers_is_refused(wrong: int, data: AnnData, tmp_path: Path) -> None:
    (library,) = data.uns["spatial"].values()
    library["images"]["hires"] = np.rint(library["images"]["hires"] * 255).astype(np.int64)
    library["images"]["hires"][0, 0] = wrong
    with pytest.raises(EfnstError, match=rf"Expected colours from 0 to 65535 in .*, found int64 from .*{wrong}"):
        read_data(data, tmp_path)


def test_an_image_of_whole_numbers_in_spatialdata(outs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spatialdata.models import Image2DModel

    parse = Image2DModel.parse
    monkeypatch.setattr(
        Image2DModel, "parse", lambda pixels, **about: parse(pixels.astype(np.int64), scale_factors=[2], **about)
    )
    write_spatialdata(outs, tmp_path / "s.zarr")
    section, warnings = read(tmp_path / "s.zarr")
    image = located(tmp_path / "s.zarr", section.uns["section"]["image"]["file"])
    assert warnings == [] and np.array_equal(np.asarray(Image.open(image)), np.asarray(Image.open(outs / HIRES)))
