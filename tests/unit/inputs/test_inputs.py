"""Every form a section comes in, read right: each row of the table in docs/usage.md, made by our own generator."""

import shutil
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from tests.support.folders import as_cytassist, as_legacy, as_probe_based, as_raw

from efnst.errors import EfnstError
from efnst.inputs.located import located
from efnst.inputs.section import load_section
from efnst.simulation.feature_matrix import read_matrix
from efnst.simulation.forms import pack, to_anndata, write_spatialdata
from efnst.simulation.space_ranger import SMALL, simulate_section
from efnst.simulation.visium_hd import write_visium_hd


@pytest.fixture(scope="module")
def plain(simulated_folder: Callable[[int], Path]) -> Path:
    """A simulated Visium section, not to be changed."""
    return simulated_folder(1)


@pytest.fixture(scope="module")
def expected(plain: Path) -> AnnData:
    """It, read from its folder."""
    section, _, warnings = read(plain)
    assert warnings == []
    return section


@pytest.fixture
def folder(plain: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return shutil.copytree(plain, tmp_path / "section")


@pytest.fixture(scope="module")
def hd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated section of Visium HD, not to be changed."""
    folder = tmp_path_factory.mktemp("hd") / "section"
    write_visium_hd(simulate_section(0, 0, SMALL), folder, n_bins=600)
    return folder


def read(path: Path, image: str = "", **options: object) -> tuple[AnnData, dict, list[str]]:
    return load_section("S1", path, image, "", **options)


def require_same(section: AnnData, expected: AnnData) -> None:
    """The same spots, genes, counts, places and scale."""
    assert list(section.obs_names) == list(expected.obs_names) and list(section.var_names) == list(expected.var_names)
    assert (section.X != expected.X).nnz == 0 and section.X.dtype == np.int32
    assert list(section.var["gene_ids"]) == list(expected.var["gene_ids"])
    assert np.allclose(section.obsm["spatial"], expected.obsm["spatial"])
    assert section.obs[["array_row", "array_col"]].equals(expected.obs[["array_row", "array_col"]])
    facts, expected_facts = section.uns["section"], expected.uns["section"]
    assert facts["grid"] == expected_facts["grid"]
    assert facts["um_per_px"] == pytest.approx(expected_facts["um_per_px"], rel=1e-3)
    image, expected_image = facts["image"], expected_facts["image"]
    for name in ("source", "scale", "width", "height"):
        assert image[name] == pytest.approx(expected_image[name])


@pytest.mark.parametrize("prefix", ["", "sample1_"])
def test_cytassist_with_proteins_with_and_without_a_prefix(prefix: str, folder: Path, expected: AnnData) -> None:
    as_cytassist(folder / "outs", prefix)
    section, _, warnings = read(folder)
    require_same(section, expected)
    assert warnings == [] and "CD3" not in section.var_names


def test_probe_based_tissue(folder: Path, expected: AnnData) -> None:
    as_probe_based(folder / "outs")
    section, _, _ = read(folder)
    assert (section.X != expected.X).nnz == 0 and section.var_names[0] == f"DEPRECATED_{expected.var_names[0]}"


def test_a_raw_matrix_is_reduced_to_the_spots_in_tissue(folder: Path, expected: AnnData) -> None:
    as_raw(folder / "outs")
    section, about, warnings = read(folder)
    require_same(section, expected)
    assert about["n_spots_in_matrix"] > expected.n_obs and warnings == []


def test_legacy_spots_on_a_square_grid(folder: Path, expected: AnnData) -> None:
    as_legacy(folder / "outs")
    section, about, warnings = read(folder)
    facts = section.uns["section"]
    assert facts["grid"] == "square" and warnings == []
    assert facts["um_per_px"] == pytest.approx(200 / facts["pitch_px"])
    assert facts["spot_diameter_px"] == pytest.approx(facts["pitch_px"] / 2)
    assert about["geometry"]["declared"]["grid"] == "square"
    assert about["geometry"]["declared"]["pitch_px"] == pytest.approx(facts["pitch_px"])


@pytest.mark.parametrize(
    ("name", "inside"), [("s.tar.gz", "outs"), ("s.tar.gz", "."), ("s.tgz", "run_1/outs"), ("s.tar", "./outs")]
)
def test_archives_of_the_folder_or_of_its_content(
    name: str, inside: str, folder: Path, expected: AnnData, tmp_path: Path
) -> None:
    archive = pack(folder / "outs", tmp_path / name, inside, compressed=not name.endswith("tar"))
    section, _, warnings = read(archive)
    require_same(section, expected)
    assert warnings == []
    image = located(archive, section.uns["section"]["image"]["file"])
    assert image.read_bytes() == (folder / "outs/spatial/tissue_hires_image.png").read_bytes()


def test_an_archive_with_the_raw_matrix_alone(folder: Path, expected: AnnData, tmp_path: Path) -> None:
    as_raw(folder / "outs")
    require_same(read(pack(folder / "outs", tmp_path / "s.tar.gz"))[0], expected)


@pytest.mark.parametrize("place", ["X", "layer", "raw"])
def test_h5ad_with_counts_in_each_place(place: str, folder: Path, expected: AnnData, tmp_path: Path) -> None:
    to_anndata(folder / "outs", place).write_h5ad(tmp_path / "s.h5ad")
    section, _, warnings = read(tmp_path / "s.h5ad")
    require_same(section, expected)
    assert warnings == []
    assert section.uns["section"]["space_ranger"].endswith({"X": "X", "layer": "layers.counts", "raw": "raw.X"}[place])
    image = located(tmp_path / "s.h5ad", section.uns["section"]["image"]["file"])
    assert np.array_equal(pixels(image), pixels(folder / "outs/spatial/tissue_hires_image.png"))


def pixels(path: Path) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(path))


def test_h5ad_without_raw_counts_says_where_it_looked(folder: Path, tmp_path: Path) -> None:
    to_anndata(folder / "outs", "nowhere").write_h5ad(tmp_path / "s.h5ad")
    with pytest.raises(EfnstError, match=r"Expected raw counts in s.h5ad, found values that are none in X \(with "):
        read(tmp_path / "s.h5ad")


def test_h5ad_without_image_and_array(folder: Path, expected: AnnData, tmp_path: Path) -> None:
    data = to_anndata(folder / "outs")
    data.obs, data.uns = data.obs[[]], {}
    data.write_h5ad(tmp_path / "s.h5ad")
    with pytest.raises(EfnstError, match=r"in s.h5ad, found neither: give the full-resolution file"):
        read(tmp_path / "s.h5ad")
    section, _, _ = read(tmp_path / "s.h5ad", image="none")
    assert section.uns["section"]["um_per_px"] == pytest.approx(expected.uns["section"]["um_per_px"], rel=0.01)


def test_h5ad_of_two_sections_is_refused(folder: Path, tmp_path: Path) -> None:
    data = to_anndata(folder / "outs")
    data.uns["spatial"]["other"] = data.uns["spatial"]["simulated"]
    data.write_h5ad(tmp_path / "s.h5ad")
    with pytest.raises(EfnstError, match=r"Expected one section in s.h5ad, found 2"):
        read(tmp_path / "s.h5ad")


def test_h5ad_with_ids_as_names_takes_its_symbols(folder: Path, expected: AnnData, tmp_path: Path) -> None:
    data = to_anndata(folder / "outs")
    data.var["feature_name"] = data.var_names
    data.var_names = data.var["gene_ids"].to_numpy()
    data.write_h5ad(tmp_path / "s.h5ad")
    assert list(read(tmp_path / "s.h5ad")[0].var_names) == list(expected.var_names)


def test_features_computed_before_are_kept(folder: Path, tmp_path: Path) -> None:
    data = to_anndata(folder / "outs")
    data.obsm["X_scvi"] = np.random.default_rng(0).normal(size=(data.n_obs, 5))
    data.write_h5ad(tmp_path / "s.h5ad")
    section, _, _ = read(tmp_path / "s.h5ad", expression_rep="X_scvi")
    assert np.allclose(section.obsm["X_scvi"], data.obsm["X_scvi"])
    with pytest.raises(EfnstError, match=r"Expected the features X_pca in obsm, found X_scvi, spatial"):
        read(tmp_path / "s.h5ad", expression_rep="X_pca")
    with pytest.raises(EfnstError, match=r"only .h5ad files and SpatialData hold any"):
        read(folder, expression_rep="X_scvi")


@pytest.mark.slow
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_spatialdata(zarr_format: int, folder: Path, expected: AnnData, tmp_path: Path) -> None:
    from spatialdata._io.format import SpatialDataContainerFormats

    container = SpatialDataContainerFormats[{2: "0.1", 3: "0.2"}[zarr_format]]
    write_spatialdata(folder / "outs", tmp_path / "s.zarr", sdata_formats=container)
    assert (tmp_path / "s.zarr" / {2: ".zgroup", 3: "zarr.json"}[zarr_format]).is_file()
    section, _, warnings = read(tmp_path / "s.zarr")
    require_same(section, expected)
    assert warnings == []
    image = located(tmp_path / "s.zarr", section.uns["section"]["image"]["file"])
    assert np.array_equal(pixels(image), pixels(folder / "outs/spatial/tissue_hires_image.png"))


@pytest.mark.parametrize("size", [8, 16])
def test_visium_hd(size: int, hd: Path) -> None:
    section, about, warnings = read(hd, bin_um=str(size))
    facts = section.uns["section"]
    part = hd / "outs" / "binned_outputs" / f"square_{size:03d}um"
    assert warnings == [] and facts["grid"] == "square" and facts["bin_um"] == size
    assert facts["um_per_px"] == pytest.approx(about["geometry"]["declared"]["um_per_px"], rel=1e-3)
    assert facts["spot_diameter_px"] == pytest.approx(facts["pitch_px"])
    table = pd.read_parquet(part / "spatial" / "tissue_positions.parquet").set_index("barcode")
    assert set(section.obs_names) == set(table.index[table["in_tissue"] == 1])
    at = table.loc[section.obs_names, ["pxl_col_in_fullres", "pxl_row_in_fullres"]]
    assert np.array_equal(section.obsm["spatial"], at)
    matrix, _ = read_matrix(part)
    assert (section.X != matrix.counts.T).nnz == 0
    assert located(hd, facts["image"]["file"]).is_file()


def test_visium_hd_without_a_size_takes_8_and_says_so(hd: Path) -> None:
    section, _, warnings = read(hd)
    assert section.uns["section"]["bin_um"] == 8 and warnings == ["No bin_um was given: the bins of 8 µm were taken."]


def test_images_of_visium_hd_are_links(hd: Path, tmp_path: Path) -> None:
    outs = shutil.copytree(hd / "outs", tmp_path / "outs", symlinks=True)
    image = outs / "binned_outputs/square_008um/spatial/tissue_hires_image.png"
    assert image.is_symlink()
    assert read(outs, bin_um="8")[0].uns["section"]["image"]["file"].startswith("binned_outputs")
    moved = shutil.move(outs / "binned_outputs/square_008um", tmp_path / "square_008um")
    with pytest.raises(
        EfnstError, match=r"found neither \(tissue_.*_image.png is a link that leads nowhere: copy with"
    ):
        read(Path(moved))


def test_visium_hd_in_an_archive_with_its_links(hd: Path, tmp_path: Path) -> None:
    archive = pack(hd / "outs", tmp_path / "hd.tar.gz")
    expected, _, _ = read(hd, bin_um="16")
    section, _, warnings = read(archive, bin_um="16")
    require_same(section, expected)
    assert warnings == []
    image = located(archive, section.uns["section"]["image"]["file"])
    assert image.read_bytes() == (hd / "outs/spatial/tissue_hires_image.png").read_bytes()


def test_cells_of_space_ranger_4(hd: Path) -> None:
    section, _, warnings = read(hd, bin_um="cells")
    facts, bins = section.uns["section"], read(hd, bin_um="8")[0].uns["section"]
    assert warnings == [] and facts["grid"] == "irregular"
    assert facts["um_per_px"] == pytest.approx(bins["um_per_px"], rel=1e-3)
    assert facts["pitch_px"] == pytest.approx(2 * bins["pitch_px"], rel=0.3), "one cell for four bins"
    matrix, _ = read_matrix_of_cells(hd)
    assert list(section.obs_names) == list(matrix.barcodes) and (section.X != matrix.counts.T).nnz == 0


def read_matrix_of_cells(hd: Path) -> tuple:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        source = hd / "outs/segmented_outputs/filtered_feature_cell_matrix.h5"
        shutil.copy2(source, Path(folder) / "filtered_feature_bc_matrix.h5")
        return read_matrix(Path(folder))


def test_metrics_of_space_ranger_are_kept(simulated_folder: Callable[[int], Path], tmp_path: Path) -> None:
    shutil.copytree(simulated_folder(2), tmp_path / "section")
    _, about, _ = read(tmp_path / "section")
    assert about["metrics_summary"]["Valid Barcodes"] == 0.97
    path = tmp_path / "section/outs/metrics_summary.csv"
    path.write_text('Sample ID,Number of Reads,Valid Barcodes\nA,"1,234",95.4%\n')
    metrics = read(tmp_path / "section")[1]["metrics_summary"]
    assert metrics == {"Sample ID": "A", "Number of Reads": 1234, "Valid Barcodes": pytest.approx(0.954)}


def test_a_declared_grid_against_the_pixels_is_told_with_both_figures(folder: Path) -> None:
    path = next((folder / "outs/spatial").glob("tissue_positions*.csv"))
    table = pd.read_csv(path)
    shuffled = table.copy()
    shuffled[["array_row", "array_col"]] = table[["array_row", "array_col"]].sample(frac=1, random_state=0).to_numpy()
    shuffled.to_csv(path, index=False)
    assert ["positions may be mixed up" in line for line in read(folder)[2]] == [True]
    table["array_col"] //= 2
    table.to_csv(path, index=False)
    _, about, warnings = read(folder)
    assert len(warnings) == 1 and warnings[0].startswith("array_row and array_col declare a square grid")
    assert (about["geometry"]["declared"]["grid"], about["geometry"]["measured"]["grid"]) == ("square", "hexagonal")


def test_repeated_symbols_are_named(plain: Path, expected: AnnData) -> None:
    names = pd.Series(read_matrix(plain / "outs")[0].names)
    repeated = names[names.duplicated()].unique().tolist()
    assert repeated and read(plain)[1]["repeated_symbols"] == {"n": len(repeated), "first": repeated}
    assert expected.var_names.is_unique and f"{repeated[0]}-1" in expected.var_names


def test_what_is_read_without_counts_has_all_names(plain: Path, expected: AnnData) -> None:
    section, _, warnings = read(plain, with_counts=False)
    assert section.shape == expected.shape and section.X.nnz == 0 and warnings == []


def test_an_h5ad_keeps_nothing_of_what_it_cannot_use(folder: Path, tmp_path: Path) -> None:
    """A broken element of the file that is not needed does no harm."""
    data = to_anndata(folder / "outs")
    data.uns["plot"] = {"colors": np.array(["a", "b"])}
    data.write_h5ad(tmp_path / "s.h5ad")
    import h5py

    with h5py.File(tmp_path / "s.h5ad", "a") as file:
        del file["uns/plot/colors"]
        file["uns/plot"].attrs["encoding-type"] = "from-the-future"
    with pytest.raises(Exception, match="future"):
        anndata.read_h5ad(tmp_path / "s.h5ad")
    assert read(tmp_path / "s.h5ad")[0].n_obs == data.n_obs


class Explosive:
    """What an attacker would pickle."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("exploded"),)


def test_pickles_are_never_opened(folder: Path, tmp_path: Path, plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In .npz and .h5ad: refused or left alone, and in any case not run; of zarr see tests/hostile/test_stores.py."""
    import pickle

    import h5py

    from efnst.program.arrays import read_arrays
    from efnst.records.arrays import FEATURES_NPZ

    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "a.npz", barcodes=np.array(["a"]), features=np.array([Explosive()]))
    with pytest.raises(EfnstError, match=r"Expected a complete a.npz, found that it cannot be read \(Object arrays"):
        read_arrays(tmp_path / "a.npz", FEATURES_NPZ, np.array(["a"]))

    to_anndata(folder / "outs").write_h5ad(tmp_path / "s.h5ad")
    with h5py.File(tmp_path / "s.h5ad", "a") as file:
        file["uns/evil"] = np.void(pickle.dumps(Explosive()))
    assert read(tmp_path / "s.h5ad")[0].n_obs
    assert not (tmp_path / "exploded").exists()
