"""A vision transformer of timm, from `./efnst encoder export` through a run: window, licence, cost."""

import json
import subprocess
from pathlib import Path

import h5py
import pytest
from tests.pipeline.conftest import QUICK, Efnst, Run, simulate
from tests.support.places import PROJECT

pytestmark = pytest.mark.slow
LICENCE = "nobody's weights"
SCALE = ("--um_per_px", "0.8", "--licence", LICENCE, "--not_commercial", "--name", "vit-s")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ViT-S with random weights. The simulated images are coarse: its declaration says that it takes them."""
    folder = tmp_path_factory.mktemp("brought")
    path = folder / "vit_s.onnx"
    command = ["encoder", "export", "timm:vit_small_patch16_224", "--untrained", "--output", path, *SCALE]
    done = subprocess.run([PROJECT / "efnst", *command, "--threads", "2"], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    declaration = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(declaration | {"um_per_px_range": [0.1, 50]}))
    return path


@pytest.fixture(scope="module")
def run(efnst: Efnst, exported: Path) -> Run:
    """On a section of few spots: a transformer takes its time."""
    cohort = simulate(exported.parent / "cohort", sections=1, n_spots=70, n_regions=3, seed=1)
    options = ["--input", cohort / "samplesheet.csv", "--encoder_onnx", exported]
    done = efnst(exported.parent, *QUICK, *options)
    assert done.status == 0, done.output
    return done


def test_the_check_tells_what_it_is_and_costs(exported: Path) -> None:
    command = [PROJECT / "efnst", "encoder", "check", exported, "--threads", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    told = {key.strip(): text.strip() for key, text in lines.items()}
    assert told["licence"] == f"{LICENCE}, no commercial use" and told["features"] == "384"
    assert told["window"].startswith("179.2 µm (0.8 µm per px;")
    assert "cosine to PyTorch" in told["parity"] and "on 32 patches" in told["parity"]
    assert told["cost"].startswith("5,000 patches × 4.6 G multiply-adds: some ")


def test_its_scale_decides_the_window(run: Run) -> None:
    provenance = json.loads((run.outdir / "pipeline_info" / "provenance" / "sim_layers.json").read_text())
    assert provenance["parameters"]["patch_um"] == "179.2" and provenance["parameters"]["patches_per_spot"] == 1


def test_the_log_tells_what_it_costs_before_it_is_run(run: Run) -> None:
    said = "efnst: encoder vit-s: at least, 5,000 patches × 4.6 G multiply-adds: some "
    assert 0 < run.output.find(said) < run.output.find("EMBED_PATCHES (sim_layers)")


def test_its_licence_stands_in_what_the_run_leaves(run: Run) -> None:
    report = (run.outdir / "sim_layers" / "report.html").read_text()
    assert report.count("nobody&#39;s weights, no commercial use") == 2, "methods and quality"
    provenance = json.loads((run.outdir / "pipeline_info" / "provenance" / "sim_layers.json").read_text())
    used = provenance["encoder"]
    assert (used["encoder"], used["licence"], used["commercial"]) == ("vit-s", LICENCE, False)
    with h5py.File(run.outdir / "sim_layers" / "sim_layers.h5ad") as file:
        assert file["uns/efnst/encoder/licence"].asstr()[()] == LICENCE


def test_a_window_at_another_scale_ends_the_run_with_both_figures(
    efnst: Efnst, one_section: Path, exported: Path, tmp_path: Path
) -> None:
    coarse = json.loads(exported.with_suffix(".json").read_text()) | {"um_per_px": 0.5, "um_per_px_range": [0.4, 0.6]}
    (tmp_path / "vit_s.onnx").symlink_to(exported)
    (tmp_path / "vit_s.json").write_text(json.dumps(coarse))
    options = ["--input", one_section, "--encoder_onnx", tmp_path / "vit_s.onnx"]
    done = efnst(tmp_path, *QUICK, *options, "--patch_um", "190")
    assert done.status != 0
    assert "found 190 µm in 224 px, 0.848 µm per px" in done.output
