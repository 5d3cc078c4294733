"""Encoders that users bring: what is accepted, what it computes, and what each misfit is told."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from efnst.encoder.efficientnet import run_graph
from efnst.encoder.own import export_own_encoder
from efnst.errors import EfnstError
from efnst.records.encoder import EncoderDeclaration

PATCHES = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
DECLARED = EncoderDeclaration(name="mine", input_px=16, layout="NCHW", mean=[0.5, 0.4, 0.3], std=[0.2, 0.3, 0.4])


def mean_colour(channels_last: bool = False) -> np.ndarray:
    """What an encoder that gives the mean of each channel must give for `PATCHES`, which need no resize."""
    return ((PATCHES / 255).mean((1, 2)) - DECLARED.mean) / DECLARED.std


def write_onnx(path: Path, opset: int = 17, **differs: object) -> Path:
    """An encoder whose features are the mean of each channel."""
    shape = differs.get("input", ["n", 3, 16, 16])
    axes = differs.get("axes", [2, 3])
    if opset < 18:
        nodes = [helper.make_node("ReduceMean", ["images"], ["embedding"], "pool", axes=axes, keepdims=0)]
    else:  # the axes are an input since then
        constant = helper.make_node("Constant", [], ["axes"], value_ints=axes)
        nodes = [constant, helper.make_node("ReduceMean", ["images", "axes"], ["embedding"], "pool", keepdims=0)]
    nodes = differs.get("nodes", nodes)
    kind = differs.get("kind", TensorProto.FLOAT)
    graph = helper.make_graph(
        nodes,
        "own",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("embedding", kind, differs.get("output", ["n", 3]))],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8 if opset < 18 else 10),
        path,
    )
    return path


@pytest.mark.parametrize("opset", [13, 17, 20, 22])
def test_an_onnx_encoder_behind_its_preparation(opset: int, tmp_path: Path) -> None:
    n_features = export_own_encoder(write_onnx(tmp_path / "own.onnx", opset), DECLARED, tmp_path / "encoder.onnx")
    assert n_features == 3
    assert np.allclose(run_graph(tmp_path / "encoder.onnx", PATCHES), mean_colour(), atol=1e-4)


def test_channels_last(tmp_path: Path) -> None:
    own = write_onnx(tmp_path / "own.onnx", input=["n", 16, 16, 3], axes=[1, 2])
    declared = DECLARED.changed(layout="NHWC")
    export_own_encoder(own, declared, tmp_path / "encoder.onnx")
    assert np.allclose(run_graph(tmp_path / "encoder.onnx", PATCHES), mean_colour(), atol=1e-4)


def test_larger_patches_are_resized(tmp_path: Path) -> None:
    export_own_encoder(write_onnx(tmp_path / "own.onnx"), DECLARED, tmp_path / "encoder.onnx")
    twice = np.repeat(np.repeat(PATCHES // 2 + 64, 2, 1), 2, 2)
    expected = ((twice / 255).mean((1, 2)) - DECLARED.mean) / DECLARED.std
    assert np.allclose(run_graph(tmp_path / "encoder.onnx", twice), expected, atol=0.02)


MIXING = [
    helper.make_node("ReduceMean", ["images"], ["pooled"], axes=[2, 3], keepdims=0),
    helper.make_node("ReduceMean", ["pooled"], ["centre"], axes=[0], keepdims=1),
    helper.make_node("Sub", ["pooled", "centre"], ["embedding"]),
]


@pytest.mark.parametrize(
    ("differs", "message"),
    [
        (
            {"input": ["n", 3, 32, 32]},
            r"float \['n', 3, 16, 16\] for `images`.*found: float \['n', 3, 32, 32\]",
        ),
        ({"input": ["n", 16, 16, 3], "axes": [1, 2]}, r"found: float \['n', 16, 16, 3\]"),
        ({"input": [1, 3, 16, 16], "output": [1, 3]}, "first dimension of any size"),
        ({"kind": TensorProto.DOUBLE}, "found: double"),
        ({"axes": [3], "output": ["n", 3, 16]}, r"'n_features'\] for .*found: float \['n', 3, 16\]"),
        ({"nodes": MIXING}, "features that do not depend on the batch"),
        ({"opset": 11}, "ONNX opset 13 or later; found: opset 11"),
    ],
)
def test_a_graph_that_does_not_fit_its_declaration(differs: dict, message: str, tmp_path: Path) -> None:
    own = write_onnx(tmp_path / "own.onnx", **differs)
    with pytest.raises(EfnstError, match=message) as caught:
        export_own_encoder(own, DECLARED, tmp_path / "encoder.onnx")
    assert "own.onnx" in str(caught.value) and "docs/encoders.md" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no graph", b"PK\x03\x04 no archive"])
def test_files_that_are_no_encoder(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "own.onnx").write_bytes(content)
    with pytest.raises(EfnstError, match=r"Expected `own\.onnx` to be"):
        export_own_encoder(tmp_path / "own.onnx", DECLARED, tmp_path / "encoder.onnx")
