"""Folders and images as portals, archives and colleagues pass them on."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from anndata import AnnData
from PIL import Image
from tests.support.space_ranger import HIRES, MATRIX, SCALE

from efnst.errors import EfnstError
from efnst.inputs.find import find_sections
from efnst.inputs.located import located
from efnst.inputs.section import load_section
from efnst.simulation.feature_matrix import read_matrix, write_matrix
from efnst.simulation.forms import pack, to_anndata
from efnst.simulation.space_ranger import SMALL, simulate_section
from efnst.simulation.visium_hd import write_visium_hd


@pytest.fixture
def outs(simulated_folder: Callable[[int], Path], tmp_path: Path) -> Path:
    """A copy of a simulated section, to be changed."""
    return shutil.copytree(simulated_folder(1) / "outs", tmp_path / "outs")


def read(path: Path, image: str = "", **options: object) -> tuple[AnnData, list[str]]:
    section, _, warnings = load_section("S1", path, image, "", **options)
    return section, warnings


def test_hires_as_jpeg(outs: Path) -> None:
    Image.open(outs / HIRES).convert("RGB").save((outs / HIRES).with_suffix(".jpg"))
    (outs / HIRES).unlink()
    section, warnings = read(outs)
    assert section.uns["section"]["image"]["file"] == "spatial/tissue_hires_image.jpg" and warnings == []


def test_no_scale_factors_do_without_an_image_and_with_the_full_resolution_one_alone(
    outs: Path, tmp_path: Path
) -> None:
    expected, _ = read(outs, "none")
    (outs / SCALE).unlink()
    section, warnings = read(outs, "none")
    assert section.uns["section"]["um_per_px"] == expected.uns["section"]["um_per_px"] and warnings == []
    with pytest.raises(EfnstError, match=r"Expected scalefactors_json\.json with tissue_hires_scalef, found none"):
        read(outs)


@pytest.fixture(scope="module")
def hd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated section of Visium HD without links, not to be changed."""
    folder = tmp_path_factory.mktemp("hd") / "section"
    write_visium_hd(simulate_section(0, 0, SMALL), folder, n_bins=300, linked_images=False)
    return folder / "outs"


@pytest.mark.parametrize("layout", ["beside spatial", "alone", "binned_outputs"])
def test_bins_wherever_they_lie(layout: str, hd: Path, tmp_path: Path) -> None:
    expected, _ = read(hd, bin_um="16")
    folder = tmp_path / ("binned_outputs" if layout == "binned_outputs" else "mine")
    shutil.copytree(hd / "binned_outputs", folder)
    if layout == "beside spatial":
        shutil.copytree(hd / "spatial", folder / "spatial")
    section, warnings = read(folder, bin_um="16")
    assert warnings == [] and list(section.obs_names) == list(expected.obs_names)
    assert section.uns["section"]["bin_um"] == 16
    assert section.uns["section"]["um_per_px"] == expected.uns["section"]["um_per_px"]


def test_barcodes_of_bins_say_their_size_whatever_folder_they_lie_in(hd: Path, tmp_path: Path) -> None:
    expected, _ = read(hd, "none", bin_um="8")
    mine = shutil.copytree(hd / "binned_outputs" / "square_008um", tmp_path / "mine")
    (mine / "spatial" / "scalefactors_json.json").unlink()
    for bin_um in ("", "8"):
        section, _ = read(mine, "none", bin_um=bin_um)
        assert section.uns["section"]["bin_um"] == 8
        assert section.uns["section"]["um_per_px"] == pytest.approx(expected.uns["section"]["um_per_px"])
    said = r"Expected bins of 16 µm, found bins of 8 µm \(s_008um_\d+_\d+-1\) in filtered_feature_bc_matrix"
    with pytest.raises(EfnstError, match=said):
        read(mine, "none", bin_um="16")
    with pytest.raises(EfnstError, match=said):
        read(Path(shutil.move(mine, tmp_path / "square_016um")), "none")


def test_positions_as_parquet_make_no_bins_of_spots(outs: Path) -> None:
    expected, _ = read(outs, "none")
    path = next((outs / "spatial").glob("tissue_positions*.csv"))
    pd.read_csv(path).to_parquet(path.with_name("tissue_positions.parquet"))
    path.unlink()
    section, warnings = read(outs, "none")
    assert warnings == [] and section.uns["section"]["um_per_px"] == expected.uns["section"]["um_per_px"]
    with pytest.raises(EfnstError, match="Expected bins of 8 µm, found the barcodes of spots"):
        read(outs, "none", bin_um="8")


def test_aggregated_sections_are_refused(outs: Path, simulated_folder: Callable[[int], Path]) -> None:
    path = next((outs / "spatial").glob("tissue_positions*.csv"))
    table = pd.read_csv(path)
    other = table.assign(barcode=table["barcode"].str.replace("-1", "-2"))
    pd.concat([table, other]).to_csv(path, index=False)
    with pytest.raises(EfnstError, match=rf"found several: {2 * len(table)} of .* share their place"):
        read(outs)
    path.rename(path.with_name("aggr_tissue_positions.csv"))
    with pytest.raises(EfnstError, match=r"found several, which spaceranger aggr wrote .*: give each a row"):
        read(outs)


@pytest.mark.parametrize("name", ["detected_tissue_image.jpg", "A1_cytassist_image.tiff", "aligned_fiducials.jpg"])
def test_pictures_that_are_no_full_resolution_image(name: str, outs: Path, tmp_path: Path) -> None:
    Image.new("L", (3000, 3000), 200).save(tmp_path / name)
    with pytest.raises(EfnstError, match=f"Expected the full-resolution H&E image, found {name}, (the|a)"):
        read(outs, str(tmp_path / name))


def test_a_thumbnail_on_the_first_page_is_named_with_the_page_of_the_image(outs: Path, tmp_path: Path) -> None:
    pixels = np.full((800, 600, 3), 200, np.uint8)
    with tifffile.TiffWriter(tmp_path / "slide.tif") as file:
        file.write(pixels[::8, ::8], photometric="rgb")
        file.write(pixels, photometric="rgb")
    with pytest.raises(EfnstError, match=r"found a thumbnail of 75 × 100 px there and the image .* on page 2"):
        read(outs, str(tmp_path / "slide.tif"))


def test_what_macos_leaves_beside_each_file_is_passed_over(outs: Path, tmp_path: Path) -> None:
    expected, _ = read(outs, "none")
    (outs / MATRIX).rename(outs / f"V1_{MATRIX}")
    Image.new("L", (9, 9)).save(outs / "he.tif")
    folder = shutil.copytree(outs, tmp_path / "copy" / "V1")
    shutil.copytree(outs, tmp_path / "copy" / "__MACOSX" / "V1")
    for path in [path for path in (tmp_path / "copy").rglob("*") if path.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
        if "__MACOSX" in path.parts:
            path.unlink()
    for source in (folder, pack(folder, tmp_path / "V1.tar.gz")):
        section, warnings = read(source, "none")
        assert (section.X != expected.X).nnz == 0 and warnings == []
    found, notes = find_sections(tmp_path / "copy")
    assert [(one.sample, one.image, one.note) for one in found] == [("V1", folder / "he.tif", "")] and notes == []


def as_deposit(outs: Path, folder: Path, prefix: str, packed: bool, in_spatial: bool, as_mtx: bool) -> None:
    """Write a section as public deposits have it."""
    (folder / "spatial").mkdir(parents=True)
    for path in (outs / "spatial").iterdir():
        name = f"{prefix}{path.name}{'.gz' if packed else ''}"
        content = gzip.compress(path.read_bytes()) if packed else path.read_bytes()
        (folder / ("spatial" if in_spatial else ".") / name).write_bytes(content)
    if as_mtx:
        matrix, _ = read_matrix(outs)
        write_matrix(matrix, folder, "mtx")
        for path in (folder / "filtered_feature_bc_matrix").iterdir():
            path.rename(folder / f"{prefix}{path.name}")
        (folder / "filtered_feature_bc_matrix").rmdir()
    else:
        shutil.copy2(outs / MATRIX, folder / f"{prefix}{MATRIX}")
    if not in_spatial:
        (folder / "spatial").rmdir()


@pytest.mark.parametrize("as_mtx", [False, True])
@pytest.mark.parametrize(("prefix", "packed", "in_spatial"), [("GSM1_A_", True, False), ("GSM1_", False, True)])
def test_deposits(prefix: str, packed: bool, in_spatial: bool, as_mtx: bool, outs: Path, tmp_path: Path) -> None:
    expected, _ = read(outs)
    as_deposit(outs, tmp_path / "flat", prefix, packed, in_spatial, as_mtx)
    section, warnings = read(tmp_path / "flat")
    assert warnings == [] and list(section.obs_names) == list(expected.obs_names)
    assert (section.X != expected.X).nnz == 0 and np.array_equal(section.obsm["spatial"], expected.obsm["spatial"])
    image = section.uns["section"]["image"]
    assert image == expected.uns["section"]["image"]
    assert located(tmp_path / "flat", image["file"]).read_bytes() == (outs / HIRES).read_bytes()


def test_a_matrix_in_pieces_beside_the_folder_spatial(outs: Path) -> None:
    expected, _ = read(outs)
    matrix, _ = read_matrix(outs)
    (outs / MATRIX).unlink()
    write_matrix(matrix, outs, "mtx")
    for path in (outs / "filtered_feature_bc_matrix").iterdir():
        with gzip.open(path) as packed:
            (outs / path.stem).write_bytes(packed.read())
    shutil.rmtree(outs / "filtered_feature_bc_matrix")
    section, warnings = read(outs)
    assert warnings == [] and (section.X != expected.X).nnz == 0


def test_several_samples_in_one_folder_are_refused_with_the_way_to_name_them(outs: Path, tmp_path: Path) -> None:
    for prefix in ("GSM1_", "GSM2_"):
        as_deposit(outs, tmp_path / prefix, prefix, packed=True, in_spatial=False, as_mtx=False)
        shutil.copytree(tmp_path / prefix, tmp_path / "both", dirs_exist_ok=True)
    with pytest.raises(EfnstError, match=r"found those of 2 \(GSM1, GSM2\): .* in the column library"):
        read(tmp_path / "both")


def test_pieces_of_a_raw_matrix(outs: Path, tmp_path: Path) -> None:
    """Their names do not say it; that they have a barcode for every place of the slide does."""
    path = next((outs / "spatial").glob("tissue_positions*.csv"))
    table = pd.read_csv(path)
    matrix, _ = read_matrix(outs)
    table = table[table["barcode"].isin(matrix.barcodes)]
    table.assign(in_tissue=(np.arange(len(table)) % 3 == 0).astype(int)).to_csv(path, index=False)
    as_deposit(outs, tmp_path / "flat", "GSM1_", packed=True, in_spatial=False, as_mtx=True)
    section, warnings = read(tmp_path / "flat", "none")
    assert warnings == [] and section.n_obs == -(-len(table) // 3)


def test_anndata_in_a_zarr_of_its_own(outs: Path, tmp_path: Path) -> None:
    expected, _ = read(outs)
    data = to_anndata(outs)
    data.var_names_make_unique()
    data.write_zarr(tmp_path / "s.zarr")
    section, warnings = read(tmp_path / "s.zarr")
    assert warnings == [] and (section.X != expected.X).nnz == 0
    image = located(tmp_path / "s.zarr", section.uns["section"]["image"]["file"])
    assert np.array_equal(np.asarray(Image.open(image)), np.asarray(Image.open(outs / HIRES)))
