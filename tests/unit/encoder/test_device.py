"""Devices and providers: what is chosen, what is refused, and what a GPU computes where there is one."""

from pathlib import Path

import h5py
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from efnst.encoder.device import PROVIDERS, open_encoder
from efnst.encoder.features import embed, patch_datasets, read_ahead
from efnst.encoder.options import EncoderOptions
from efnst.encoder.precision import cosines, mark_precision
from efnst.errors import EfnstError

HAS_CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
on_gpu = pytest.mark.skipif(not HAS_CUDA, reason="needs onnxruntime-gpu and a GPU")


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """An encoder whose features are the mean colour of a patch."""
    nodes = [
        helper.make_node("Cast", ["patches"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["features"], axes=[1, 2], keepdims=0),
    ]
    patches = helper.make_tensor_value_info("patches", TensorProto.UINT8, ["batch", "height", "width", 3])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 3])
    model = helper.make_model(helper.make_graph(nodes, "mean", [patches], [features]), ir_version=8)
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", 17))
    onnx.save(model, tmp_path / "encoder.onnx")
    return tmp_path / "encoder.onnx"


@pytest.fixture
def patch_file(tmp_path: Path) -> Path:
    """37 patches of smooth random colours."""
    coarse = np.random.default_rng(0).integers(0, 256, (37, 10, 10, 3), dtype=np.uint8)
    with h5py.File(tmp_path / "patches.h5", "w") as file:
        file["patches_190"] = np.repeat(np.repeat(coarse, 5, 1), 5, 2)
        file["patches_190"].attrs["patch_um"] = 190.0
    return tmp_path / "patches.h5"


def test_auto_says_what_it_took_and_why(graph: Path) -> None:
    opened = open_encoder(graph, "auto", 1)
    assert opened.device == ("cuda" if HAS_CUDA else "cpu")
    assert opened.reason.startswith("onnxruntime")
    assert opened.session.get_providers()[0] == opened.provider


def test_operators_are_counted_by_the_provider_that_ran_them(graph: Path) -> None:
    opened = open_encoder(graph, "cpu", 1)
    assert opened.operators == {"CPUExecutionProvider": 2} and opened.on_cpu == {}
    assert (opened.device, opened.reason, opened.precision) == ("cpu", "as asked for", "fp32")


def test_profiling_leaves_no_files(graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    open_encoder(graph, "cpu", 1)
    assert list((tmp_path / "t").iterdir()) == []


@pytest.mark.parametrize("device", [name for name in PROVIDERS if name != "cpu"])
def test_a_device_that_is_not_there_is_an_error(graph: Path, device: str) -> None:
    if PROVIDERS[device] in onnxruntime.get_available_providers():
        pytest.skip(f"this onnxruntime has {device}")
    with pytest.raises(
        EfnstError, match=rf"Expected device `{device}` to be usable, found .* only\. Choose --device cpu"
    ):
        open_encoder(graph, device, 1)


def test_fp16_without_a_gpu_is_refused(graph: Path) -> None:
    mark_precision(graph, "fp16")
    with pytest.raises(EfnstError, match="Expected a GPU for an encoder in fp16, found device cpu"):
        open_encoder(graph, "cpu", 1)


def test_int8_elsewhere_than_on_a_cpu_is_refused(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's provider stands in for those of devices that are not here: what counts is the name asked for."""
    mark_precision(graph, "int8")
    assert open_encoder(graph, "cpu", 1).precision == "int8"
    monkeypatch.setitem(PROVIDERS, "openvino", "CPUExecutionProvider")
    with pytest.raises(EfnstError, match="Expected device cpu for an encoder in int8, found openvino"):
        open_encoder(graph, "openvino", 1)


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "encoder.onnx").write_bytes(b"no graph")
    with pytest.raises(EfnstError, match=r"Expected `encoder\.onnx` to be an ONNX graph that runs"):
        open_encoder(tmp_path / "encoder.onnx", "cpu", 1)


@on_gpu
@pytest.mark.parametrize("batch_size", [None, 1, 8, 37, 64])
def test_cuda_gives_the_features_of_the_cpu(lite0_file: Path, patch_file: Path, batch_size: int | None) -> None:
    with h5py.File(patch_file) as file:
        expected = embed(open_encoder(lite0_file, "cpu", 2), file).features
        found = embed(open_encoder(lite0_file, "cuda", 2), file, batch_size)
    assert np.abs(found.features - expected).max() <= 1e-4 * np.abs(expected).max()
    assert found.batch_size == (batch_size or 256)


@on_gpu
def test_fp16_on_cuda_is_close_to_fp32(patch_file: Path, lite0_file: Path, tmp_path: Path) -> None:
    import export_encoder

    (tmp_path / "fp16").mkdir()
    export_encoder.main(outdir=tmp_path / "fp16", options=EncoderOptions(precision="fp16"))
    with h5py.File(patch_file) as file:
        expected = embed(open_encoder(lite0_file, "cpu", 2), file).features
        opened = open_encoder(tmp_path / "fp16" / "encoder.onnx", "cuda", 2)
        found = embed(opened, file).features
    assert opened.precision == "fp16"
    assert cosines(found, expected).min() >= 0.99


@on_gpu
@pytest.mark.parametrize("batch_size", [1, 8, 36, 37, 64])
def test_pinned_batches_hold_every_row_once(patch_file: Path, batch_size: int) -> None:
    with h5py.File(patch_file) as file:
        (dataset,) = patch_datasets(file)
        batches = [batch.copy() for batch in read_ahead(dataset, batch_size, pinned=True)]
        assert {len(batch) for batch in batches} == {batch_size}
        assert np.array_equal(np.concatenate(batches)[: len(dataset)], dataset[:])
