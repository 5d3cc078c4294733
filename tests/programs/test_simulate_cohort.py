"""simulate_cohort.py through its command line."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.support.places import BIN

PROGRAM = BIN / "simulate_cohort.py"


def simulate(outdir: Path, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(PROGRAM), "--outdir", str(outdir), *options]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outdir = tmp_path_factory.mktemp("small") / "cohort"
    done = simulate(outdir, "--small", "--seed", "4")
    assert done.returncode == 0, done.stderr
    return outdir


def arrays_of(outdir: Path) -> dict[str, np.ndarray | str]:
    """Everything a cohort holds: arrays of matrices and images, text of the rest."""
    content: dict[str, np.ndarray | str] = {}
    for path in sorted(path for path in outdir.rglob("*") if path.is_file()):
        name = path.relative_to(outdir).as_posix()
        if path.suffix == ".h5":
            with h5py.File(path) as file:
                for part in ("data", "indices", "indptr", "barcodes", "features/id", "features/name"):
                    content[f"{name}/{part}"] = file["matrix"][part][:]
        elif path.suffix == ".png":
            content[name] = np.asarray(Image.open(path))
        else:
            content[name] = path.read_text()
    return content


def test_samplesheet_points_to_what_is_there(cohort: Path) -> None:
    sheet = pd.read_csv(cohort / "samplesheet.csv", dtype=str, keep_default_na=False)
    assert list(sheet.columns) == ["sample", "section", "image", "labels", "n_domains"]
    assert sheet["sample"].tolist() == ["sim_layers", "sim_nested", "sim_mixed"]
    assert sheet["n_domains"].tolist() == ["7", "4", "5"]
    assert set(sheet["image"]) == {""}
    for row in sheet.itertuples():
        assert (cohort / row.section / "spatial").is_dir()
        assert pd.read_csv(cohort / row.labels)["label"].nunique() == int(row.n_domains)


def test_a_seed_gives_the_same_cohort_again(cohort: Path, tmp_path: Path) -> None:
    assert simulate(tmp_path / "again", "--small", "--seed", "4", "--sections", "2").returncode == 0
    first, again = arrays_of(cohort), arrays_of(tmp_path / "again")
    of_sections = {name for name in first if name.startswith(("sim_layers/", "sim_nested/"))}
    assert of_sections == again.keys() - {"samplesheet.csv", "simulation.json"}
    assert len(of_sections) > 15
    for name in of_sections:
        assert np.array_equal(first[name], again[name]), name


def test_another_seed_gives_another_cohort(cohort: Path, tmp_path: Path) -> None:
    assert simulate(tmp_path / "other", "--small", "--seed", "5", "--sections", "1").returncode == 0
    first, other = arrays_of(cohort), arrays_of(tmp_path / "other")
    for name in ("sim_layers/labels.csv", "sim_layers/outs/filtered_feature_bc_matrix.h5/data"):
        assert not np.array_equal(first[name], other[name])


def test_options_change_size_and_storage(tmp_path: Path) -> None:
    options = "--small --sections 1 --n_spots 150 --n_genes 120 --n_regions 6 --matrix mtx --fullres jpeg --um_per_px 2"
    done = simulate(tmp_path / "cohort", *options.split())
    assert done.returncode == 0, done.stderr
    sheet = pd.read_csv(tmp_path / "cohort" / "samplesheet.csv")
    assert sheet["sample"].tolist() == ["sim_layers"]
    assert sheet["n_domains"].tolist() == [6]
    for row in sheet.itertuples():
        assert len(pd.read_csv(tmp_path / "cohort" / row.labels)) == 150
        features = tmp_path / "cohort" / row.section / "filtered_feature_bc_matrix" / "features.tsv.gz"
        assert len(pd.read_csv(features, header=None, sep="\t")) == 120
        assert Image.open(tmp_path / "cohort" / row.image).format == "JPEG"


def test_every_section_has_a_pair_that_one_source_separates(cohort: Path, tmp_path: Path) -> None:
    outdir = tmp_path / "cohort"
    done = simulate(outdir, "--small", "--seed", "4", "--separated_by", "expression")
    assert done.returncode == 0, done.stderr
    pairs = {path.parent.name: json.loads(path.read_text()) for path in outdir.glob("*/pair.json")}
    assert {name: pair["labels"] for name, pair in pairs.items()} == {
        "sim_layers": ["layer_3", "layer_4"],
        "sim_nested": ["core", "rim"],
        "sim_mixed": ["layer_2", "layer_3"],
    }
    assert {pair["separated_by"] for pair in pairs.values()} == {"expression"}
    for name, pair in pairs.items():
        assert set(pair["labels"]) < set(pd.read_csv(outdir / name / "labels.csv")["label"])

    record, plain = (json.loads((folder / "simulation.json").read_text()) for folder in (outdir, cohort))
    assert record == {**plain, "separated_by": "expression"}
    assert "separated_by" not in plain


def test_unknown_source_is_refused(tmp_path: Path) -> None:
    done = simulate(tmp_path / "cohort", "--separated_by", "smell")
    assert done.returncode == 2
    assert "smell" in done.stderr and "'image', 'expression', 'space'" in done.stderr
    assert not (tmp_path / "cohort").exists()


def test_damage_breaks_the_first_section_only(cohort: Path, tmp_path: Path) -> None:
    done = simulate(tmp_path / "cohort", "--small", "--seed", "4", "--sections", "2", "--damage", "missing_positions")
    assert done.returncode == 0, done.stderr
    broken, whole = arrays_of(tmp_path / "cohort"), arrays_of(cohort)
    missing = {name for name in whole.keys() - broken.keys() if not name.startswith("sim_mixed")}
    assert missing == {"sim_layers/outs/spatial/tissue_positions_list.csv"}
    assert json.loads(broken["simulation.json"])["damage"] == "missing_positions"


def test_list_of_damages_writes_nothing(tmp_path: Path) -> None:
    done = simulate(tmp_path / "cohort", "--damage", "list")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 19
    assert "truncated_h5: " in done.stdout
    assert not (tmp_path / "cohort").exists()


def test_unknown_damage_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    done = simulate(tmp_path / "cohort", "--damage", "burnt")
    assert done.returncode == 2
    assert "found `burnt`" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "cohort").exists()


def test_own_cohort_is_replaced_but_foreign_files_are_not(tmp_path: Path) -> None:
    outdir = tmp_path / "cohort"
    assert simulate(outdir, "--small", "--sections", "1", "--matrix", "mtx").returncode == 0
    assert simulate(outdir, "--small", "--sections", "1").returncode == 0
    assert not (outdir / "sim_layers" / "outs" / "filtered_feature_bc_matrix").exists()

    foreign = tmp_path / "foreign"
    (foreign / "sim_layers").mkdir(parents=True)
    (foreign / "sim_layers" / "precious.txt").write_text("mine")
    done = simulate(foreign, "--small", "--sections", "1")
    assert done.returncode == 2
    assert "found `sim_layers`" in done.stderr
    assert (foreign / "sim_layers" / "precious.txt").read_text() == "mine"


def test_too_few_spots_for_the_regions(tmp_path: Path) -> None:
    done = simulate(tmp_path / "cohort", "--n_spots", "80")
    assert done.returncode == 2
    assert "Expected at least 140 spots for 7 regions, found 80" in done.stderr
