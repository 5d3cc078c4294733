"""embed_patches.py on the patches of a simulated section."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import h5py
import numpy as np
import onnxruntime
import pytest
from tests.support.records import example

import embed_patches
from efnst.encoder import device
from efnst.encoder.cache import sha256
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


def embedded(patches: Path, encoder: Path, outdir: Path, options: FeatureOptions = CPU, **files: object) -> np.ndarray:
    """features.npz of a section by itself."""
    embed_patches.main(sample=["S1"], patches=[patches], encoder=encoder, outdir=outdir, options=options, **files)
    return np.load(outdir / "S1" / "features.npz")


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
    assert record["patches_per_second"] >= n_spots / record["seconds"] > 0
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
    found = embedded(tmp_path / "patches.h5", lite0_file, tmp_path)
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
    found = {}
    for name, reference in (("same", stain), ("other", other)):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(fit_reference([reference])))
        stain_files = {"stain": [qc], "stain_reference": path}
        options = FeatureOptions(device="cpu", stain_normalisation="reinhard")
        found[name] = embedded(patches_file, lite0_file, tmp_path / name, options, **stain_files)["features"]
        record = json.loads((tmp_path / name / "S1/features.json").read_text())
        assert (record["stain_normalisation"], record["stain_sha256"]) == ("reinhard", sha256(path))
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
    stain = {"stain": [tmp_path / "qc.json"], "stain_reference": tmp_path / "reference.json"}
    options = FeatureOptions(device="cpu", stain_normalisation="macenko")
    found = embedded(patches_file, lite0_file, tmp_path, options, **stain)
    assert "S1: no statistics of its stains, its patches stay as they are" in caplog.text
    assert np.array_equal(found["features"], np.load(features_file)["features"])
    record = json.loads((tmp_path / "S1/features.json").read_text())
    assert record["stain_normalisation"] == "none" and "stain_sha256" not in record


def test_a_gpu_that_is_not_there_is_an_error(patches_file: Path, lite0_file: Path, tmp_path: Path) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    cuda = FeatureOptions(device="cuda")
    with pytest.raises(EfnstError, match="Expected device `cuda` to be usable"):
        embedded(patches_file, lite0_file, tmp_path, cuda)


def test_a_failure_is_a_record_when_asked(
    start: Callable[..., tuple[int, str]], patches_file: Path, lite0_file: Path, tmp_path: Path
) -> None:
    files = ["--patches", patches_file, "--encoder", lite0_file, "--outdir", tmp_path]
    failure = tmp_path / "S1" / "failure.json"
    status, messages = start(embed_patches.main, "--sample", "S1", *files, "--device", "abacus", "--failures")
    assert status == 0 and messages.startswith("embed_patches: S1: Found 1 problem in the options")
    assert json.loads(failure.read_text()) == {
        "sample": "S1",
        "step": "embed_patches",
        "reason": "S1: Found 1 problem in the options; nothing was run:\n"
        '  - parameter --device: found "abacus", expected one of auto, cpu, cuda, tensorrt, openvino',
    }
    assert not (tmp_path / "S1" / "features.npz").exists()


def test_a_spot_with_a_ring_has_the_mean_of_its_patches(lite0_file: Path, tmp_path: Path) -> None:
    patches = np.random.default_rng(0).integers(0, 256, (14, 20, 20, 3), np.uint8)
    with h5py.File(tmp_path / "patches.h5", "w") as file:
        file["barcodes"] = ["a", "b"]
        file["patches_112"] = patches
        file["patches_112"].attrs.update(patch_um=112.0, n_each=7, ring_um=39.0)
    found = embedded(tmp_path / "patches.h5", lite0_file, tmp_path)
    session = onnxruntime.InferenceSession(str(lite0_file), providers=["CPUExecutionProvider"])
    each = session.run(None, {"patches": patches})[0]
    expected = np.stack([each[:7].mean(0), each[7:].mean(0)])
    assert np.abs(found["features"] - expected).max() <= 1e-5 * np.abs(expected).max()
    assert found["patch_um"].tolist() == [190.0], "what the patches take in together"
    record = json.loads((tmp_path / "S1/features.json").read_text())
    assert (record["n_spots"], record["n_patches"]) == (2, 14)
    assert record["patches_per_second"] >= 14 / record["seconds"], "each of them is run"


def test_the_encoder_is_opened_once_for_several_sections_and_one_that_fails_leaves_the_others(
    patches_file: Path, lite0_file: Path, features_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, whole = [], device.open_encoder
    monkeypatch.setattr(device, "open_encoder", lambda *given: opened.append(given) or whole(*given))
    (tmp_path / "patches.h5").write_bytes(b"no HDF5")
    with h5py.File(tmp_path / "nothing.h5", "w") as file:  # a mistake of ours: tile_image.py writes no such file
        file["barcodes"] = ["a"]
    files = [patches_file, tmp_path / "patches.h5", tmp_path / "nothing.h5", patches_file]
    samples = ["first", "damaged", "strange", "last"]
    given = {"sample": samples, "patches": files, "encoder": lite0_file, "outdir": tmp_path, "options": CPU}
    embed_patches.main(**given, failures=True)
    assert len(opened) == 1
    for sample in ("first", "last"):
        found = np.load(tmp_path / sample / "features.npz")["features"]
        assert np.array_equal(found, np.load(features_file)["features"])
        assert json.loads((tmp_path / sample / "features.json").read_text())["sample"] == sample
        assert not (tmp_path / sample / "failure.json").exists()
    reasons = [json.loads((tmp_path / sample / "failure.json").read_text())["reason"] for sample in samples[1:3]]
    assert reasons[0].startswith("damaged: ") and "patches.h5" in reasons[0]
    assert reasons[1].startswith("strange: unexpected ")
    with pytest.raises(EfnstError, match=r"patches\.h5"):
        embed_patches.main(**given)


def test_a_section_without_patches_of_its_own_is_an_error(
    start: Callable[..., tuple[int, str]], patches_file: Path, lite0_file: Path, tmp_path: Path
) -> None:
    given = ["--sample", "S1", "--sample", "S2", "--patches", patches_file, "--encoder", lite0_file]
    status, messages = start(embed_patches.main, *given, "--outdir", tmp_path)
    assert (status, messages) == (2, "embed_patches: Expected --patches for each of 2 --sample, found it 1 times.\n")
    status, _ = start(embed_patches.main, *given, "--outdir", tmp_path, "--failures")
    assert status == 0
    for sample in ("S1", "S2"):
        record = json.loads((tmp_path / sample / "failure.json").read_text())
        assert record["reason"].startswith(f"{sample}: Expected --patches")


def test_nothing_is_reported_and_nothing_is_left_in_the_home_folder(
    run_program: Callable[..., CompletedProcess], patches_file: Path, lite0_file: Path, tmp_path: Path
) -> None:
    """onnxruntime keeps an identifier of the machine there, and what it has yet to send."""
    home = tmp_path / "home"
    home.mkdir()
    names = ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in names} | {"HOME": str(home)}
    files = ("--patches", patches_file, "--encoder", lite0_file, "--outdir", tmp_path)
    done = run_program("embed_patches.py", "--sample", "S1", *files, env=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "S1" / "features.npz").exists() and list(home.rglob("*")) == []
