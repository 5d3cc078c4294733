"""Encoders that run code, show or write files, or never end: none is run, and the answer comes in time."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import efnst.encoder.own
from efnst.encoder.own import Declaration, export_in_time, export_own_encoder, read_declaration
from efnst.errors import EfnstError
from efnst.program.apart import NotAnsweredError, run_apart

DECLARED = Declaration("theirs", 16)
FLOAT = TensorProto.FLOAT


class Writing(nn.Module):
    """TorchScript that fills a file with A when it is loaded."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self.file, self.written = file, 0

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.file, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.file, self.training = state[0], state[1]
        self.written = int(torch.from_file(self.file, True, 16, dtype=torch.uint8).fill_(65).sum())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=[2, 3]) + self.written


def model(nodes: list, path: Path, **parts: list) -> Path:
    """A graph from images [n, 3, 16, 16] to features [n, 3]."""
    images = helper.make_tensor_value_info("images", FLOAT, ["n", 3, 16, 16])
    features = helper.make_tensor_value_info("features", FLOAT, ["n", 3])
    graph = helper.make_graph(nodes, "theirs", [images], [features], **parts)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(made.SerializeToString())
    return path


POOL = helper.make_node("ReduceMean", ["images"], ["pooled"], axes=[2, 3], keepdims=0)


def elsewhere(location: str, **entries: str) -> TensorProto:
    """Weights [3] that lie in another file."""
    weights = TensorProto(name="weights", data_type=FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **entries}.items():
        weights.external_data.add(key=key, value=value)
    return weights


def endless(path: Path) -> Path:
    """A loop that goes on for 2^62 rounds."""
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["goes_on"], ["still"]),
            helper.make_node("Add", ["value", "value"], ["more"]),
        ],
        "round",
        [info("number", TensorProto.INT64, []), info("goes_on", TensorProto.BOOL, []), info("value", FLOAT, ["n", 3])],
        [info("still", TensorProto.BOOL, []), info("more", FLOAT, ["n", 3])],
    )
    nodes = [POOL, helper.make_node("Loop", ["rounds", "", "pooled"], ["features"], body=body)]
    rounds = helper.make_tensor("rounds", TensorProto.INT64, [], [2**62])
    return model(nodes, path, initializer=[rounds])


def huge(path: Path) -> Path:
    """A graph that asks for 4 TB."""
    size = helper.make_tensor("size", TensorProto.INT64, [2], [10**6, 10**6])
    nodes = [
        POOL,
        helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
        helper.make_node("Add", ["pooled", "zero"], ["features"]),
    ]
    return model(nodes, path, initializer=[size])


def test_torchscript_is_never_opened(tmp_path: Path) -> None:
    target = tmp_path / "written"
    target.write_bytes(b"B" * 16)
    torch.jit.script(Writing(str(target))).save(str(tmp_path / "theirs.onnx"))
    target.write_bytes(b"B" * 16)
    with pytest.raises(EfnstError, match=r"Expected `theirs\.onnx` to be ONNX; found: an archive of PyTorch"):
        export_own_encoder(tmp_path / "theirs.onnx", DECLARED, tmp_path / "encoder.onnx")
    assert target.read_bytes() == b"B" * 16
    torch.jit.load(str(tmp_path / "theirs.onnx"))
    assert target.read_bytes() == b"A" * 16, "an archive that does nothing tests nothing"


@pytest.mark.parametrize(
    ("location", "entries"),
    [("secret", {}), ("../secret", {}), ("*/_ORT_MEM_ADDR_/*", {"offset": "4096", "length": "12"})],
)
@pytest.mark.parametrize("place", ["initializer", "attribute"])
def test_weights_that_lie_elsewhere_are_not_read(place: str, location: str, entries: dict, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(12))
    weights = elsewhere(location, **entries)
    add = helper.make_node("Add", ["pooled", "weights"], ["features"])
    constant = helper.make_node("Constant", [], ["weights"], value=weights)
    if place == "initializer":
        path = model([POOL, add], tmp_path / "theirs.onnx", initializer=[weights])
    else:
        path = model([POOL, constant, add], tmp_path / "theirs.onnx")
    with pytest.raises(EfnstError, match="the weights inside; found: weights in another file"):
        export_own_encoder(path, DECLARED, tmp_path / "encoder.onnx")
    assert not (tmp_path / "encoder.onnx").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "found"),
    [(endless, "found: it (computed for|took) more than"), (huge, "found: |found that it asks for more than")],
)
def test_graphs_without_end_or_measure_are_refused_in_time(
    build: Callable[[Path], Path], found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(efnst.encoder.own, "SECONDS", 20)
    with pytest.raises(EfnstError, match=rf"Expected `theirs\.onnx` to .*({found})"):
        export_in_time(build(tmp_path / "theirs.onnx"), DECLARED, tmp_path / "encoder.onnx", 1)


@pytest.mark.slow
def test_a_sound_graph_goes_the_same_way(tmp_path: Path) -> None:
    path = model([POOL, helper.make_node("Identity", ["pooled"], ["features"])], tmp_path / "theirs.onnx")
    assert export_in_time(path, DECLARED, tmp_path / "encoder.onnx", 1) == 3
    assert [node.name for node in onnx.load(tmp_path / "encoder.onnx").graph.input] == ["patches"]


@pytest.mark.slow
def test_what_happens_apart_is_told_apart() -> None:
    with pytest.raises(NotAnsweredError, match="it took more than 10 s"):
        run_apart(1, time.sleep, 600)
    with pytest.raises(RuntimeError, match="the error above"):
        run_apart(20, json.loads, "{")
    assert run_apart(20, json.loads, "[1]") == [1]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000_000,
        '{"input_px": ' + "9" * 400 + "}",
        '{"input_px": ' + "9" * 5000 + "}",
        '{"input_px": 16, "mean": [NaN, 0, 0]}',
        '{"input_px": 16, "std": [1, 1, 1' + "0" * 400 + "]}",
        '{"input_px": 16, "mean": [1e400, 0, 0]}',
        '{"input_px": 16, "name": "' + "a" * 5_000_000 + '"}',
        "\ufeff\ufeff{}",
        "null",
    ],
    ids=range(9),
)
def test_declarations_that_would_break_a_reader(text: str, tmp_path: Path) -> None:
    (tmp_path / "theirs.json").write_text(text)
    with pytest.raises(EfnstError, match=r"theirs\.json") as caught:
        read_declaration(tmp_path / "theirs.json", tmp_path / "theirs.onnx")
    assert len(str(caught.value)) < 1000


def test_weights_within_are_taken(tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.ones(3, np.float32), "weights")
    add = helper.make_node("Add", ["pooled", "weights"], ["features"])
    path = model([POOL, add], tmp_path / "theirs.onnx", initializer=[weights])
    assert export_own_encoder(path, DECLARED, tmp_path / "encoder.onnx") == 3
