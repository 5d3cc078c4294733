"""embed_patches.py on the patches of a simulated section."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import onnxruntime
import pytest
from tests.support.records import example

import embed_patches
from efnst.encoder.options import FeatureOptions
from efnst.errors import EfnstError
from efnst.image.stain.normaliser import normaliser
from efnst.image.stain.statistics import fit_reference
from efnst.program.arrays import read_arrays
from efnst.records.arrays import FEATURES_NPZ
from efnst.records.base import write_record
from efnst.records.quality import ImageQc

CPU = FeatureOptions(device="cpu")


def barcodes_of(patches: Path) -> np.ndarray:
    with h5py.File(patches) as file:
        return file["barcodes"].asstr()[:]


def test_features_are_those_of_the_encoder(features_file: Path, patches_file: Path, lite0_file: Path) -> None:
    arrays = read_arrays(features_file, FEATURES_NPZ, barcodes_of(patches_file))
    features = arrays["features"]
    assert set(arrays) == {"features", "patch_um"} and arrays["patch_um"].tolist() == [190.0]
    session = onnxruntime.InferenceSession(str(lite0_file), providers=["CPUExecutionProvider"])
    with h5py.File(patches_file) as file:
        spots = [0, 7, 90, len(features) - 1]
        expected = session.run(None, {"patches": file["patches_190"][:][spots]})[0]
    assert features.dtype == np.float32 and features.shape == (len(barcodes_of(patches_file)), 1280)
    assert np.abs(features[spots] - expected).max() <= 1e-5 * np.abs(expected).max()


def test_the_record(features_file: Path, patches_file: Path) -> None:
    record = json.loads(features_file.with_name("features.json").read_text())
    n_spots = len(barcodes_of(patches_file))
    assert record["sample"] == "S1" and record["provider"] == "CPUExecutionProvider"
    assert (record["threads"], record["batch_size"], record["n_spots"]) == (1, 8, n_spots)
    assert record["n_features"] == 1280 and 0 < record["encoder_share"] <= 1
    assert record["spots_per_second"] >= n_spots / record["seconds"] > 0
    assert set(record["versions"]) == {"efnst", "python", "onnxruntime"}


def test_several_scales_stand_side_by_side(lite0_file: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    with h5py.File(tmp_path / "patches.h5", "w") as file:
        file["barcodes"] = ["a", "b", "c"]
        for patch_um in (100.0, 380.0):
            px, name = int(patch_um / 5), f"patches_{patch_um:g}"
            file[name] = random.integers(0, 256, (3, px, px, 3), np.uint8)
            file[name].attrs["patch_um"] = patch_um
        wide = file["patches_380"][:]
    embed_patches.main(sample="S1", patches=tmp_path / "patches.h5", encoder=lite0_file, outdir=tmp_path, options=CPU)
    found = np.load(tmp_path / "features.npz")
    features = found["features"]
    assert found["patch_um"].tolist() == [100.0, 380.0], "in the order of the features"
    session = onnxruntime.InferenceSession(str(lite0_file), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"patches": wide})[0]
    assert features.shape == (3, 2560)
    assert np.abs(features[:, 1280:] - expected).max() <= 1e-5 * np.abs(expected).max()


def test_the_stains_are_normalised_before_the_encoder(
    patches_file: Path, lite0_file: Path, features_file: Path, tmp_path: Path
) -> None:
    qc = patches_file.with_name("image_qc.json")
    stain = json.loads(qc.read_text())["stain"]
    other = json.loads(json.dumps(stain))
    other["reinhard"]["mean"][0] -= 15
    files = {"patches": patches_file, "encoder": lite0_file, "stain": qc}
    found = {}
    for name, reference in (("same", stain), ("other", other)):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(fit_reference([reference])))
        (tmp_path / name).mkdir()
        files |= {"stain_reference": path, "outdir": tmp_path / name}
        options = FeatureOptions(device="cpu", stain_normalisation="reinhard")
        embed_patches.main(sample="S1", **files, options=options)
        found[name] = np.load(tmp_path / name / "features.npz")["features"]
        assert json.loads((tmp_path / name / "features.json").read_text())["stain_normalisation"] == "reinhard"
    plain = np.load(features_file)["features"]
    assert np.abs(found["same"] - plain).max() <= 0.02 * np.abs(plain).max()
    with h5py.File(patches_file) as file:
        patches = file["patches_190"][:8]
    darker = normaliser("reinhard", stain, fit_reference([other]))(patches)
    session = onnxruntime.InferenceSession(str(lite0_file), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"patches": darker})[0]
    assert np.abs(found["other"][:8] - expected).max() <= 1e-4 * np.abs(expected).max()
    assert np.abs(found["other"] - plain).max() > 0.1 * np.abs(plain).max()


def test_a_section_without_statistics_of_its_stains_stays_as_it_is(
    patches_file: Path, lite0_file: Path, features_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_record(tmp_path / "qc.json", example(ImageQc, stain=None))
    (tmp_path / "reference.json").write_text(json.dumps(fit_reference([None])))
    files = {"patches": patches_file, "encoder": lite0_file, "outdir": tmp_path}
    stain = {"stain": tmp_path / "qc.json", "stain_reference": tmp_path / "reference.json"}
    embed_patches.main(
        sample="S1", **files, **stain, options=FeatureOptions(device="cpu", stain_normalisation="macenko")
    )
    assert "S1: no statistics of its stains, its patches stay as they are" in caplog.text
    assert np.array_equal(np.load(tmp_path / "features.npz")["features"], np.load(features_file)["features"])
    assert json.loads((tmp_path / "features.json").read_text())["stain_normalisation"] == "none"


def test_a_gpu_that_is_not_there_is_an_error(patches_file: Path, lite0_file: Path, tmp_path: Path) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    cuda = FeatureOptions(device="cuda")
    with pytest.raises(EfnstError, match="Expected device `cuda` to be usable"):
        embed_patches.main(sample="S1", patches=patches_file, encoder=lite0_file, outdir=tmp_path, options=cuda)


def test_a_failure_is_a_record_when_asked(
    start: Callable[..., tuple[int, str]], patches_file: Path, lite0_file: Path, tmp_path: Path
) -> None:
    files = ["--patches", patches_file, "--encoder", lite0_file, "--outdir", tmp_path]
    failure = tmp_path / "failure.json"
    status, messages = start(embed_patches.main, "--sample", "S1", *files, "--device", "abacus", "--failure", failure)
    assert status == 0 and messages.startswith("embed_patches: S1: Found 1 problem in the options")
    assert json.loads(failure.read_text()) == {
        "sample": "S1",
        "step": "embed_patches",
        "reason": "S1: Found 1 problem in the options; nothing was run:\n"
        '  - parameter --device: found "abacus", expected one of auto, cpu, cuda, tensorrt, openvino',
    }
    assert not (tmp_path / "features.npz").exists()


def test_a_spot_with_a_ring_has_the_mean_of_its_patches(lite0_file: Path, tmp_path: Path) -> None:
    patches = np.random.default_rng(0).integers(0, 256, (14, 20, 20, 3), np.uint8)
    with h5py.File(tmp_path / "patches.h5", "w") as file:
        file["barcodes"] = ["a", "b"]
        file["patches_112"] = patches
        file["patches_112"].attrs.update(patch_um=112.0, n_each=7, ring_um=39.0)
    embed_patches.main(sample="S1", patches=tmp_path / "patches.h5", encoder=lite0_file, outdir=tmp_path, options=CPU)
    found = np.load(tmp_path / "features.npz")
    session = onnxruntime.InferenceSession(str(lite0_file), providers=["CPUExecutionProvider"])
    each = session.run(None, {"patches": patches})[0]
    expected = np.stack([each[:7].mean(0), each[7:].mean(0)])
    assert np.abs(found["features"] - expected).max() <= 1e-5 * np.abs(expected).max()
    assert found["patch_um"].tolist() == [190.0], "what the patches take in together"
    record = json.loads((tmp_path / "features.json").read_text())
    assert (record["n_spots"], record["n_patches"]) == (2, 14)
