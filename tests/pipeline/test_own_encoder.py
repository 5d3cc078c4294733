"""A run with an encoder of the user's own, resumed from one with the default encoder."""

import json
import os
from pathlib import Path

import onnx
import pytest
import torch
from tests.pipeline.conftest import QUICK, Efnst, Run
from tests.support.encoders import write_own_encoder
from torch import nn

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def own_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small encoder and its declaration, called as its export is, in a folder whose name holds a space."""
    folder = tmp_path_factory.mktemp("own encoder")
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 64, 8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return write_own_encoder(nn.Sequential(*layers), folder, "encoder", name="mine")


@pytest.fixture(scope="module")
def run(efnst: Efnst, finished: Run, one_section: Path, own_encoder: Path) -> Run:
    options = ["--input", one_section, "--encoder_onnx", own_encoder]
    cache = os.path.relpath(own_encoder.parent / "cache", finished.outdir.parent)  # of where the run starts
    done = efnst(finished.outdir.parent, *QUICK, "-resume", *options, "--encoder_cache", cache, outdir="own")
    assert done.status == 0, done.output
    return done


def test_the_file_given_is_still_what_it_was(run: Run, own_encoder: Path) -> None:
    (network,) = onnx.load(own_encoder).graph.input
    assert network.name == "images"


def test_only_what_the_encoder_concerns_was_redone(run: Run) -> None:
    assert {process for process, _ in run.ended("CACHED")} == {"READ_SECTION", "TILE_IMAGE"}
    assert {"EXPORT_ENCODER", "EMBED_PATCHES", "LEARN_EMBEDDING"} <= {process for process, _ in run.ended("COMPLETED")}


def test_the_report_names_it(run: Run) -> None:
    report = (run.outdir / "sim_layers" / "report.html").read_text()
    assert "encoded by mine with the weights of encoder.onnx, run in fp32 on cpu" in report


def test_it_is_kept_in_the_cache(run: Run, own_encoder: Path) -> None:
    (entry,) = (own_encoder.parent / "cache").iterdir()
    record = json.loads((entry / "encoder.json").read_text())
    assert (record["encoder"], record["n_features"], record["weights"]["file"]) == ("mine", 64, "encoder.onnx")


def test_a_declaration_that_is_missing_stops_the_run_at_once(efnst: Efnst, cohort: Path, tmp_path: Path) -> None:
    (tmp_path / "bare.onnx").write_bytes(b"")
    done = efnst(tmp_path, *QUICK, "--input", cohort / "samplesheet.csv", "--encoder_onnx", tmp_path / "bare.onnx")
    assert done.status != 0
    assert "bare.json" in done.output
