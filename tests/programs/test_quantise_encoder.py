"""quantise_encoder.py on efficientnet-lite0 and on an encoder whose features int8 does not keep."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from tests.support.encoders import write_own_encoder
from torch import nn

import embed_patches
import export_encoder
import quantise_encoder
from efnst.encoder.precision import cosines

Start = Callable[..., tuple[int, str]]


def arguments(encoder: Path, patches: Path, outdir: Path) -> list[object]:
    record = encoder.with_name("encoder.json")
    return [patches, "--encoder", encoder, "--record", record, "--threads", 2, "--outdir", outdir]


@pytest.mark.slow
def test_lite0_in_int8(start: Start, lite0_file: Path, patches_file: Path, tmp_path: Path) -> None:
    """Its record, and the features that embed_patches.py gives with it."""
    status, output = start(quantise_encoder.main, *arguments(lite0_file, patches_file, tmp_path), "--n_patches", 96)
    assert status == 0, output
    record = json.loads((tmp_path / "encoder.json").read_text())
    assert (record["encoder"], record["precision"]) == ("efficientnet-lite0", "int8")
    assert (record["n_calibration"], record["n_held_out"]) == (48, 48)
    assert record["median_cosine"] >= 0.99 and record["median_cosine"] > record["least_cosine"] > 0.9
    features = {}
    for name, encoder in (("fp32", lite0_file), ("int8", tmp_path / "encoder.onnx")):
        given = {"sample": [name], "patches": [patches_file], "encoder": encoder, "outdir": tmp_path}
        embed_patches.main(**given, threads=2)
        features[name] = np.load(tmp_path / name / "features.npz")["features"]
        assert json.loads((tmp_path / name / "features.json").read_text())["precision"] == name
    cosine = cosines(features["int8"], features["fp32"])
    assert np.median(cosine) == pytest.approx(record["median_cosine"], abs=0.003)


@pytest.fixture
def uneven_encoder(tmp_path: Path) -> Path:
    """An encoder one of whose channels, unused, is 20,000 times the others: int8 keeps little beside it."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 9, 8, 8), nn.Conv2d(9, 64, 1)
    with torch.no_grad():
        first.weight[0] *= 2e4
        second.weight[:, 0] = 0
    network = nn.Sequential(first, second, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    own = write_own_encoder(network, tmp_path)
    (tmp_path / "own").mkdir()
    export_encoder.main(encoder_onnx=own, outdir=tmp_path / "own")
    return tmp_path / "own" / "encoder.onnx"


def test_features_that_int8_does_not_keep(
    start: Start, uneven_encoder: Path, patches_file: Path, tmp_path: Path
) -> None:
    status, output = start(quantise_encoder.main, *arguments(uneven_encoder, patches_file, tmp_path / "out"))
    assert status == 2
    assert re.search(
        r"median cosine of at least 0\.99 to those in fp32, found 0\.\d{4} \(least -?0\.\d{4}\) on 125 patches: this "
        "encoder needs --precision fp32",
        output,
    )
    assert not (tmp_path / "out" / "encoder.json").exists()


def test_devices_that_int8_does_not_run_on(start: Start, lite0_file: Path, patches_file: Path, tmp_path: Path) -> None:
    for device in ("cuda", "tensorrt", "openvino"):
        given = arguments(lite0_file, patches_file, tmp_path / "out")
        status, output = start(quantise_encoder.main, *given, "--device", device)
        assert status == 2
        assert f"Expected --device auto or cpu for --precision int8, which runs on a CPU only, found {device}" in output
    assert not list((tmp_path / "out").iterdir())


def test_too_few_patches(start: Start, lite0_file: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "patches.h5", "w") as file:
        file["patches_190"] = np.zeros((9, 20, 20, 3), np.uint8)
        file["patches_190"].attrs["patch_um"] = 190
    status, output = start(quantise_encoder.main, *arguments(lite0_file, tmp_path / "patches.h5", tmp_path))
    assert status == 2 and "Expected at least 32 patches in the cohort to quantise the encoder with, found 9" in output
