"""read_section.py on simulated sections, on every damage of theirs, and on real ones."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from tests.support.options import chosen
from tests.support.places import PROJECT, REAL

import read_section
from efnst.errors import EfnstError
from efnst.inputs.section import load_section
from efnst.simulation.damage import DAMAGES, damage
from efnst.simulation.feature_matrix import read_matrix, write_matrix
from efnst.simulation.space_ranger import SMALL, simulate_section, write_section

PROGRAM = PROJECT / "bin" / "read_section.py"
HARMLESS = ("header_in_list_file", "no_header_in_csv", "antibody_features")
LIMITS = ("min_counts_per_spot", "min_genes_per_spot", "max_pct_mt", "max_pct_ribo", "max_pct_hb", "qc_mads")
REASONS = {
    "missing_matrix": "Expected filtered_feature_bc_matrix.h5",
    "missing_positions": "Expected tissue_positions.csv or tissue_positions_list.csv",
    "missing_scalefactors": "Expected scalefactors_json.json",
    "truncated_h5": "complete filtered_feature_bc_matrix.h5, found that it cannot be read",
    "empty_matrix": "found an empty matrix",
    "no_spots_in_tissue": "Expected spots in tissue, found none",
    "corrupt_image": "complete tissue_hires_image.png, found that it cannot be read",
    "wrong_scale": "of them outside: scaled by tissue_hires_scalef",
    "missing_images": "image: none",
    "negative_counts": "counts of 0 or more",
    "fractional_counts": "Expected whole counts",
    "nan_counts": "values that are no numbers",
    "foreign_barcodes": "the two files are of different sections",
    "duplicate_barcodes": "every barcode once",
    "truncated_mtx_gz": "complete matrix.mtx.gz, found that it cannot be read",
    "invalid_scalefactors_json": "complete scalefactors_json.json",
}


@pytest.fixture(scope="module", params=[0, 1, 2], ids=["1.x", "2.x", "3.x"])
def versions(request: pytest.FixtureRequest, simulated_folder: Callable[[int], Path]) -> Path:
    """A simulated section as each version of Space Ranger writes it, not to be changed."""
    return simulated_folder(request.param)


@pytest.fixture(scope="module")
def whole(simulated_folder: Callable[[int], Path]) -> Path:
    """One simulated section, not to be changed."""
    return simulated_folder(1)


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return shutil.copytree(whole, tmp_path / "section")


def read(folder: Path, outdir: Path, **options: object) -> tuple[anndata.AnnData, dict]:
    """section.h5ad and section_qc.json of a section named S1."""
    outdir.mkdir(exist_ok=True)
    limits = {name: options.pop(name) for name in (*LIMITS, "expression_rep") if name in options}
    given = options | chosen(read_section.main, **limits)
    read_section.main(sample="S1", source=folder, outdir=outdir, **given)
    return anndata.read_h5ad(outdir / "section.h5ad"), json.loads((outdir / "section_qc.json").read_text())


def truth(outs: Path) -> pd.DataFrame:
    """Positions by barcode, read in the plainest way."""
    path = next((outs / "spatial").glob("tissue_positions*.csv"))
    rows = [line.split(",") for line in path.read_text().splitlines() if not line.startswith("barcode")]
    columns = ["barcode", "in_tissue", "array_row", "array_col", "y", "x"]
    return pd.DataFrame(rows, columns=columns).set_index("barcode").astype(float)


def test_a_section_of_each_version(versions: Path, tmp_path: Path) -> None:
    section, qc = read(versions, tmp_path, labels=str(versions / "labels.csv"))
    matrix, _ = read_matrix(versions / "outs")
    assert list(section.obs_names) == list(matrix.barcodes), "rows keep the order of the matrix"
    assert list(section.var["gene_ids"]) == list(matrix.ids)
    assert section.X.dtype == np.int32 and section.X.format == "csr" and (section.X != matrix.counts.T).nnz == 0

    at = truth(versions / "outs").loc[section.obs_names]
    assert section.obsm["spatial"].dtype == np.float64
    assert np.array_equal(section.obsm["spatial"], at[["x", "y"]].to_numpy())
    assert np.array_equal(section.obs[["array_row", "array_col"]], at[["array_row", "array_col"]])
    labels = pd.read_csv(versions / "labels.csv", index_col=0)["label"]
    assert section.obs["label"].astype(str).tolist() == labels.loc[section.obs_names].astype(str).tolist()

    facts = section.uns["section"]
    assert facts["sample"] == "S1" and facts["grid"] == "hexagonal"
    assert facts["um_per_px"] == pytest.approx(0.5, rel=0.01)
    assert facts["pitch_px"] == pytest.approx(200, rel=0.01) and facts["spot_diameter_px"] == pytest.approx(
        110, rel=0.01
    )
    image = facts["image"]
    assert (image["source"], image["file"]) == ("hires", "outs/spatial/tissue_hires_image.png")
    assert (versions / image["file"]).is_file() and image["scale"] == pytest.approx(0.5 / 4, rel=0.01)

    assert qc["n_spots_in_matrix"] == qc["n_spots_in_tissue"] == qc["n_spots_kept"] == section.n_obs
    assert qc["warnings"] == [] and qc["qc_status"] == "pass"
    assert set(qc["lost"].values()) == {0}
    assert section.obs["total_counts"].tolist() == np.asarray(section.X.sum(axis=1)).ravel().tolist()
    assert {name: section.uns["qc"][name] for name in ("sample", "n_spots_kept")} == {
        "sample": "S1",
        "n_spots_kept": section.n_obs,
    }


def test_rows_of_positions_in_any_order_give_the_same_section(whole: Path, folder: Path, tmp_path: Path) -> None:
    expected, _ = read(whole, tmp_path / "a")
    path = next((folder / "outs" / "spatial").glob("tissue_positions*.csv"))
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *np.random.default_rng(0).permutation(rows)]) + "\n")
    section, _ = read(folder, tmp_path / "b")
    assert list(section.obs_names) == list(expected.obs_names)
    assert np.array_equal(section.obsm["spatial"], expected.obsm["spatial"])


@pytest.mark.parametrize("kind", HARMLESS)
def test_harmless_oddities_change_nothing(kind: str, whole: Path, folder: Path, tmp_path: Path) -> None:
    damage(folder / "outs", kind)
    expected, section = read(whole, tmp_path / "a")[0], read(folder, tmp_path / "b")[0]
    assert (section.X != expected.X).nnz == 0 and list(section.var_names) == list(expected.var_names)
    assert np.array_equal(section.obsm["spatial"], expected.obsm["spatial"])


@pytest.mark.parametrize("kind", [kind for kind in DAMAGES if kind not in HARMLESS])
def test_every_damage_is_refused_with_the_fact(kind: str, folder: Path, tmp_path: Path) -> None:
    damage(folder / "outs", kind)
    with pytest.raises(EfnstError) as caught:
        read(folder, tmp_path)
    assert str(caught.value).startswith("Expected ")
    assert REASONS[kind] in str(caught.value)
    assert not (tmp_path / "section.h5ad").exists()


def test_a_folder_of_mtx_holds_the_same_section(folder: Path, tmp_path: Path) -> None:
    expected, _ = read(folder, tmp_path / "a")
    matrix, _ = read_matrix(folder / "outs")
    (folder / "outs" / "filtered_feature_bc_matrix.h5").unlink()
    write_matrix(matrix, folder / "outs", "mtx")
    section, _ = read(folder / "outs", tmp_path / "b")
    assert (section.X != expected.X).nnz == 0 and list(section.obs_names) == list(expected.obs_names)
    assert section.uns["section"]["image"]["file"] == "spatial/tissue_hires_image.png"


def test_a_raw_matrix_gives_the_spots_in_tissue(folder: Path, tmp_path: Path) -> None:
    outs = folder / "outs"
    (outs / "filtered_feature_bc_matrix.h5").rename(outs / "raw_feature_bc_matrix.h5")
    path = next((outs / "spatial").glob("tissue_positions*.csv"))
    table = pd.read_csv(path)
    inside = table.index[table["in_tissue"] == 1]
    table.loc[inside[:10], "in_tissue"] = 0
    table.to_csv(path, index=False)
    section, qc = read(folder, tmp_path)
    assert section.n_obs == len(inside) - 10
    assert qc["n_spots_in_matrix"] == len(inside) and qc["n_spots_in_tissue"] == len(inside) - 10
    assert not set(table["barcode"][inside[:10]]) & set(section.obs_names)


def test_no_image_is_needed_where_none_is_asked_for(folder: Path, tmp_path: Path) -> None:
    damage(folder / "outs", "missing_images")
    section, qc = read(folder, tmp_path, image="none")
    assert section.uns["section"]["image"] == {"source": "none", "file": "", "scale": 0.0, "width": 0, "height": 0}
    assert qc["warnings"] == []


def test_lowres_alone_works_with_a_warning(folder: Path, tmp_path: Path) -> None:
    (folder / "outs" / "spatial" / "tissue_hires_image.png").unlink()
    section, qc = read(folder, tmp_path)
    assert section.uns["section"]["image"]["source"] == "lowres"
    assert len(qc["warnings"]) == 1 and "features will be weak" in qc["warnings"][0]
    assert list(section.uns["qc"]["warnings"]) == qc["warnings"]


@pytest.mark.parametrize("kind", ["tiff", "jpeg"])
def test_a_full_resolution_image(kind: str, tmp_path: Path) -> None:
    coarse = replace(SMALL, um_per_px=2.0)
    image = write_section(simulate_section(0, 0, coarse), tmp_path / "section", fullres=kind)
    section, qc = read(tmp_path / "section", tmp_path, image=str(image))
    facts = section.uns["section"]["image"]
    assert (facts["source"], facts["file"], facts["scale"]) == ("fullres", "", 1.0) and qc["warnings"] == []
    assert (section.obsm["spatial"].max(axis=0) < (facts["width"], facts["height"])).all()


def test_an_image_of_another_size_than_space_ranger_had_is_told(folder: Path, tmp_path: Path) -> None:
    from PIL import Image

    with Image.open(folder / "outs" / "spatial" / "tissue_hires_image.png") as hires:
        width, height = (side * 9 for side in hires.size)  # where its scale factor means 8
        hires.convert("L").resize((width, height)).save(tmp_path / "larger.jpg")
    _, qc = read(folder, tmp_path, image=str(tmp_path / "larger.jpg"))
    assert len(qc["warnings"]) == 1 and f"has {width} × {height} px, but by the hires image" in qc["warnings"][0]


def test_the_hires_image_given_as_full_resolution_is_refused(folder: Path, tmp_path: Path) -> None:
    hires = str(folder / "outs" / "spatial" / "tissue_hires_image.png")
    with pytest.raises(EfnstError, match=r"Scaled by tissue_hires_scalef 0\.125 they fit"):
        read(folder, tmp_path, image=hires)


def test_labels_of_another_section(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("barcode,label\nAAAA-9,x\n")
    with pytest.raises(EfnstError, match="Expected labels for the spots of the section, found 1 labels and none"):
        read(folder, tmp_path, labels=str(tmp_path / "l.csv"))


def test_a_single_label_is_kept_for_names_with_a_warning(whole: Path, tmp_path: Path) -> None:
    spots = read(whole, tmp_path)[0].obs_names
    (tmp_path / "l.csv").write_text("barcode,label\n" + "".join(f"{spot},tumour\n" for spot in spots[:30]))
    section, qc = read(whole, tmp_path, labels=str(tmp_path / "l.csv"))
    assert (section.obs["label"] == "tumour").sum() == 30 and section.obs["label"].isna().sum() == len(spots) - 30
    assert any("all 30 labelled spots have the label 'tumour'" in warning for warning in qc["warnings"])


def test_a_file_of_empty_labels_is_none(whole: Path, tmp_path: Path) -> None:
    spots = read(whole, tmp_path)[0].obs_names
    (tmp_path / "l.csv").write_text("barcode,label\n" + "".join(f"{spot},\n" for spot in spots))
    section, qc = read(whole, tmp_path, labels=str(tmp_path / "l.csv"))
    assert "label" not in section.obs
    assert any(warning.endswith("in the file of labels: the section goes without.") for warning in qc["warnings"])


def test_without_labels_there_is_no_column_of_labels(whole: Path, tmp_path: Path) -> None:
    assert "label" not in read(whole, tmp_path)[0].obs


def test_thresholds_take_spots_and_say_so(whole: Path, tmp_path: Path) -> None:
    everything, _ = read(whole, tmp_path / "a")
    limit = int(everything.obs["total_counts"].median())
    section, qc = read(whole, tmp_path / "b", min_counts_per_spot=limit)
    assert qc["lost"]["min_counts_per_spot"] == int((everything.obs["total_counts"] < limit).sum()) > 0
    assert section.obs["total_counts"].min() >= limit and section.n_vars == everything.n_vars
    assert qc["n_spots_kept"] == section.n_obs == qc["n_spots_in_tissue"] - sum(qc["lost"].values())


def test_what_was_asked_for_stands_beside_what_the_section_made_of_it(whole: Path, tmp_path: Path) -> None:
    section, qc = read(whole, tmp_path, image="none", qc_mads=3, max_pct_mt=90)
    assert qc["thresholds"]["min_counts_per_spot"] > 1 and qc["thresholds"]["max_pct_mt"] < 90
    least = {"min_counts_per_spot": 1, "min_genes_per_spot": 1}
    most = {"max_pct_mt": 90, "max_pct_ribo": 100, "max_pct_hb": 100}
    assert qc["asked"] == least | most | {"unit_um": "auto", "use_image": False}
    assert section.uns["qc"]["asked"]["max_pct_mt"] == 90


def test_a_percentage_of_genes_that_are_not_there_is_not_known(folder: Path, tmp_path: Path) -> None:
    _, qc = read(folder, tmp_path / "with")
    assert qc["median_pct_mt"] > 0
    matrix, _ = read_matrix(folder / "outs")
    names = np.array([name.replace("MT-", "X") for name in matrix.names])
    write_matrix(replace(matrix, names=names), folder / "outs", "h5")
    section, qc = read(folder, tmp_path / "without")
    assert qc["median_pct_mt"] is None and qc["quantiles"]["pct_counts_mt"] is None
    assert section.obs["pct_counts_mt"].isna().all() and "median_pct_mt" not in section.uns["qc"]
    assert not any("mitochondrial" in warning for warning in qc["warnings"]), "as probe sets are: no fault"


def test_no_spot_left(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"none of \d+ \(min_counts_per_spot 1e\+08 took \d+, min_genes"):
        read(whole, tmp_path, min_counts_per_spot=10**8)


def test_symbols_that_repeat_are_made_unique(folder: Path, tmp_path: Path) -> None:
    matrix, _ = read_matrix(folder / "outs")
    names = matrix.names.copy()
    names[1] = names[0]
    write_matrix(replace(matrix, names=names), folder / "outs", "h5")
    section, _ = read(folder, tmp_path)
    assert section.var_names.is_unique and list(section.var_names[:2]) == [names[0], f"{names[0]}-1"]


def test_a_failure_is_a_record_when_asked(tmp_path: Path) -> None:
    command = [sys.executable, str(PROGRAM), "--sample", "S1", "--source", "absent", "--failure", "failure.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    failure = json.loads((tmp_path / "failure.json").read_text())
    assert (failure["sample"], failure["step"]) == ("S1", "read_section")
    assert failure["reason"].startswith("S1: Expected a Space Ranger outs folder, found nothing at absent")


# sample: spots, genes, grid, pitch in px, image
REAL_SECTIONS = {
    "dlpfc_151510": (4634, 500, "hexagonal", 138.9, "lowres"),
    "dlpfc_151673": (3639, 8513, "hexagonal", 138.0, "lowres"),
    "her2st_A1": (346, 15045, "square", 218.0, "hires"),
    "her2st_B1": (295, 15109, "square", 289.0, "none"),
    "her2st_C2": (187, 15706, "square", 290.0, "fullres"),
    "her2st_H1": (613, 15029, "square", 291.3, "none"),
}


@pytest.mark.parametrize("name", REAL_SECTIONS)
def test_real_sections(name: str, tmp_path: Path) -> None:
    folder = REAL / name
    if not folder.is_dir():
        pytest.skip(f"no real section {name}: set EFNST_TEST_DATA")
    n_spots, n_genes, grid, pitch_px, source = REAL_SECTIONS[name]
    fullres = next(folder.glob("fullres/*"), "")
    labels = folder / "labels.csv"
    section, qc = read(
        folder,
        tmp_path,
        image=str(fullres) if source == "fullres" else "none" if source == "none" else "",
        labels=str(labels) if labels.exists() else "",
    )
    facts = section.uns["section"]
    assert section.shape == (n_spots, n_genes) and qc["n_spots_kept"] == n_spots
    assert facts["grid"] == grid and facts["pitch_px"] == pytest.approx(pitch_px, abs=0.1)
    assert facts["image"]["source"] == source
    weak = [warning for warning in qc["warnings"] if "lowres" in warning]
    assert len(weak) == (source == "lowres")
    assert not [warning for warning in qc["warnings"] if "spot_diameter" in warning or "fill little" in warning]


@pytest.mark.parametrize("name", ["dlpfc_151510", "dlpfc_151673", "dlpfc_151676", "her2st_A1", "mouse_cytassist"])
def test_the_negative_of_a_real_image_is_taken_for_fluorescence(
    name: str, real_section: Callable[[str], Path], tmp_path: Path
) -> None:
    from PIL import Image, ImageOps

    folder = shutil.copytree(real_section(name), tmp_path / name, copy_function=shutil.copy)
    assert load_section("S1", folder, "", "", with_counts=False)[1]["image_agreement"]["tissue"] > 0.6
    for path in folder.glob("spatial/tissue_*res_image.png"):
        path.chmod(0o644)
        ImageOps.invert(Image.open(path).convert("RGB")).save(path)
    with pytest.raises(EfnstError, match=r"on a dark ground \(median \d\d of 255\), as in fluorescence\. Give the H&E"):
        load_section("S1", folder, "", "", with_counts=False)


def test_a_real_section_without_an_image_says_what_to_do(tmp_path: Path) -> None:
    if not (REAL / "her2st_B1").is_dir():
        pytest.skip("no real section her2st_B1: set EFNST_TEST_DATA")
    with pytest.raises(EfnstError, match=r"found neither: give the full-resolution file .* image: none"):
        read(REAL / "her2st_B1", tmp_path)
