"""find_sections.py and check_sections.py: a samplesheet from a folder, and the check of every file that it names."""

import csv
import gzip
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import check_sections
import find_sections
from efnst.simulation.damage import damage
from efnst.simulation.forms import pack, to_anndata, write_spatialdata
from efnst.simulation.space_ranger import SMALL, simulate_section, write_section
from efnst.simulation.visium_hd import write_visium_hd


@pytest.fixture(scope="module")
def archive_of_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a laboratory: sections in many forms, at many depths, and things beside them."""
    root = tmp_path_factory.mktemp("lab")
    plain = root / "2024" / "run A" / "cortex (left)"
    write_section(simulate_section(1, 0, SMALL), plain)
    (plain / "fullres").mkdir()
    shutil.copy2(plain / "outs/spatial/tissue_hires_image.png", plain / "fullres" / "he.png")  # no whole slide
    write_visium_hd(simulate_section(0, 0, SMALL), root / "hd" / "colon", n_bins=300)
    pack(plain / "outs", root / "packed.tar.gz")
    to_anndata(plain / "outs").write_h5ad(root / "2024" / "one.h5ad")
    shutil.copy2(root / "2024" / "one.h5ad", root / "2024" / "__six.h5ad")
    write_spatialdata(plain / "outs", root / "2024" / "two.zarr")
    shutil.copytree(plain, root / "bare" / "CORTEX_left_")
    for image in (root / "bare/CORTEX_left_/outs/spatial").glob("*.png"):
        image.unlink()
    shutil.copytree(plain / "outs", root / "broken")
    damage(root / "broken", "missing_positions")
    deposit = root / "deposit" / "sample_1"
    deposit.mkdir(parents=True)
    shutil.copy2(plain / "outs/filtered_feature_bc_matrix.h5", deposit / "GSM1_filtered_feature_bc_matrix.h5")
    for name in ("tissue_positions.csv", "scalefactors_json.json", "tissue_lowres_image.png"):
        (deposit / f"GSM1_{name}.gz").write_bytes(gzip.compress((plain / "outs" / "spatial" / name).read_bytes()))
    (deposit / "GSM1_detected_tissue_image.jpg").touch()  # no full-resolution image
    shutil.copytree(plain / "outs", root / "packed" / "nested" / "outs")
    shutil.copytree(plain / "outs", root / "packed", dirs_exist_ok=True)
    (root / "packed" / "spatial" / "scalefactors_json.json").unlink()
    (root / "notes.tar.gz").write_bytes(b"no archive")
    (root / "work").mkdir()
    shutil.copytree(plain / "outs", root / "work" / "cached")
    return root


@pytest.fixture(scope="module")
def sheet(archive_of_runs: Path) -> Path:
    """The samplesheet that was found."""
    find_sections.main(archive_of_runs, archive_of_runs / "found.csv")
    return archive_of_runs / "found.csv"


def rows_of(sheet: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(sheet.read_text())))


def test_every_section_is_found_once_with_what_lies_beside_it(sheet: Path) -> None:
    found = [tuple(row.values()) for row in rows_of(sheet)]
    plain = "2024/run A/cortex (left)"
    assert found == [
        ("_six", "2024/__six.h5ad", "", "", ""),  # no sample may begin with __
        ("one", "2024/one.h5ad", "", "", ""),
        ("run_A_cortex_left_", f"{plain}/outs", "", f"{plain}/labels.csv", ""),
        ("two", "2024/two.zarr", "", "", ""),
        ("bare_CORTEX_left_", "bare/CORTEX_left_/outs", "none", "bare/CORTEX_left_/labels.csv", ""),
        ("sample_1", "deposit/sample_1", "", "", ""),
        ("colon", "hd/colon/outs", "", "hd/colon/labels.csv", "8"),
        ("packed", "packed", "none", "", ""),
        ("nested", "packed/nested/outs", "", "", ""),
        ("packed_2", "packed.tar.gz", "", "", ""),
    ]


def test_what_was_found_passes_the_check(sheet: Path, start: Callable[..., tuple[int, str]]) -> None:
    status, said = start(check_sections.main, sheet)
    assert status == 0, said


@pytest.fixture
def files(archive_of_runs: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A folder for sections in one file each, and the outs folder that they are made of."""
    (tmp_path / "files").mkdir()
    return tmp_path / "files", archive_of_runs / "2024/run A/cortex (left)/outs"


def test_files_without_an_image_get_none_and_pass_the_check(
    files: tuple[Path, Path], tmp_path: Path, start: Callable[..., tuple[int, str]]
) -> None:
    folder, outs = files
    bare = shutil.copytree(outs, tmp_path / "bare")
    for image in (bare / "spatial").glob("*.png"):
        image.unlink()
    pack(bare, folder / "archive.tar.gz")
    pack(outs, folder / "pictured.tgz")
    data = to_anndata(outs)
    data.var_names_make_unique()
    library = data.uns["spatial"]["simulated"]
    for name, uns in (
        ("empty", {}),
        ("no_image", {"simulated": {"images": {}, "scalefactors": library["scalefactors"]}}),
        ("no_scales", {"simulated": {"images": library["images"]}}),
    ):
        data.uns["spatial"] = uns
        data.write_h5ad(folder / f"{name}.h5ad")
    data.uns["spatial"] = {"simulated": library}
    data.write_zarr(folder / "own.zarr")
    data.uns["spatial"] = {"simulated": library | {"metadata": {"source": "none"}}}  # our picture of no image
    data.write_h5ad(folder / "white.h5ad")
    data.write_zarr(folder / "own_white.zarr")
    del data.uns["spatial"]
    data.write_zarr(folder / "own_none.zarr")
    find_sections.main(folder, tmp_path / "found.csv")
    none = {row["sample"]: row["image"] for row in rows_of(tmp_path / "found.csv")}
    without = ("archive", "empty", "no_image", "no_scales", "own_none", "white", "own_white")
    assert none == dict.fromkeys(without, "none") | {"pictured": "", "own": ""}
    status, said = start(check_sections.main, tmp_path / "found.csv")
    assert status == 0, said


def test_what_lies_beside_a_file(files: tuple[Path, Path], tmp_path: Path) -> None:
    """All of it where the file is alone; beside others what is named after it."""
    folder, outs = files
    to_anndata(outs).write_h5ad(folder / "A1.h5ad")
    (folder / "labels.csv").touch()
    (folder / "images").mkdir()
    (folder / "images" / "he.tif").touch()
    find_sections.main(folder, tmp_path / "alone.csv")
    (row,) = rows_of(tmp_path / "alone.csv")
    assert (row["image"], row["labels"]) == ("files/images/he.tif", "files/labels.csv")
    shutil.copy2(folder / "A1.h5ad", folder / "B1.h5ad")
    (folder / "images" / "B1_he.tif").touch()
    find_sections.main(folder, tmp_path / "two.csv")
    found = [(row["sample"], row["image"]) for row in rows_of(tmp_path / "two.csv")]
    assert found == [("A1", ""), ("B1", "files/images/B1_he.tif")] and "labels" not in rows_of(tmp_path / "two.csv")[0]


def test_a_broken_section_is_left_out_and_told(
    archive_of_runs: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture
) -> None:
    find_sections.main(archive_of_runs)
    assert "broken: left out. Expected tissue_positions.csv" in caplog.text
    assert "work: left out. Folders called work are not looked into." in caplog.text
    assert "notes.tar.gz: left out. It holds no spatial/scalefactors_json.json, or cannot be read." in caplog.text
    assert capsys.readouterr().out.startswith("sample,section,image,labels,bin_um\n")


def test_a_samplesheet_is_not_overwritten_and_an_empty_folder_is_told(
    sheet: Path, tmp_path: Path, start: Callable[..., tuple[int, str]]
) -> None:
    status, said = start(find_sections.main, sheet.parent, "--output", sheet)
    assert status == 2 and "Expected a new file for the samplesheet" in said
    status, said = start(find_sections.main, tmp_path)
    assert status == 2 and "found none: name another folder" in said


def test_every_problem_of_every_file_is_told_at_once(
    archive_of_runs: Path, tmp_path: Path, start: Callable[..., tuple[int, str]]
) -> None:
    outs = archive_of_runs / "2024/run A/cortex (left)/outs"
    wrong_scale = shutil.copytree(outs, tmp_path / "wrong_scale")
    damage(wrong_scale, "wrong_scale")
    truncated = shutil.copytree(outs, tmp_path / "truncated")
    damage(truncated, "truncated_h5")
    (tmp_path / "foreign.csv").write_text("barcode,label\nAAAA-9,x\n")
    (tmp_path / "sheet.csv").write_text(
        "sample,section,image,labels\n"
        f"sound,{outs},,\nbad name,{outs},,\ngone,nowhere,,\nscale,wrong_scale,,\ncut,truncated,,\n"
        f"labels,{outs},,foreign.csv\nimage,{outs},no.tif,\naway,s3://bucket/outs,,\n"
    )
    status, said = start(check_sections.main, tmp_path / "sheet.csv")
    assert status == 2 and "Traceback" not in said
    for line in (
        "Found 6 problems in sheet.csv and its files",
        'row 3 (bad name), column sample: found "bad name"',
        f"row 4 (gone), column section: found nothing at {tmp_path}/nowhere",
        "row 5 (scale): Expected the spots inside the hires image",
        "row 6 (cut): Expected a complete filtered_feature_bc_matrix.h5",
        "row 7 (labels): Expected labels for the spots of the section",
        f"row 8 (image), column image: found nothing at {tmp_path}/no.tif",
    ):
        assert line in said
    assert "row 2" not in said and "row 9" not in said
