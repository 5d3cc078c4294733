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
from efnst.encoder.declaration import read_declaration
from efnst.encoder.efficientnet import run_graph
from efnst.encoder.own import export_in_time, export_own_encoder, own_files
from efnst.errors import EfnstError
from efnst.program.apart import NotAnsweredError, run_apart
from efnst.records.encoder import EncoderDeclaration

DECLARED = EncoderDeclaration(name="theirs", input_px=16, layout="NCHW", mean=[0, 0, 0], std=[1, 1, 1])
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
    with pytest.raises(EfnstError, match=r"with the weights inside, .* found: weights in another file"):
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
    with pytest.raises(EfnstError, match=rf"Expected `?theirs\.onnx`? to .*({found})"):
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


FIVE = np.arange(5, dtype=np.float32)


def beside(folder: Path, name: str = "theirs.onnx.data", **entries: str) -> Path:
    """A graph that adds three weights of the file `name`, which `entries` say the place of."""
    weights = elsewhere(name, **entries)
    add = helper.make_node("Add", ["pooled", "weights"], ["features"])
    return model([POOL, add], folder / "theirs.onnx", initializer=[weights])


def test_weights_beside_the_graph_are_taken(tmp_path: Path) -> None:
    path = beside(tmp_path, offset="8", length="12")
    (tmp_path / "theirs.onnx.data").write_bytes(FIVE.tobytes())
    (tmp_path / "out").mkdir()
    assert export_own_encoder(path, DECLARED, tmp_path / "out" / "encoder.onnx") == 3
    white = np.full((1, 16, 16, 3), 255, np.uint8)
    assert np.allclose(run_graph(tmp_path / "out" / "encoder.onnx", white), [[3, 4, 5]])


def test_weights_beside_it_under_a_declared_name(tmp_path: Path) -> None:
    path = beside(tmp_path, "mine.bin", length="12")
    (tmp_path / "mine.bin").write_bytes(FIVE[:3].tobytes())
    with pytest.raises(EfnstError, match="neither called as usual nor declared"):
        export_own_encoder(path, DECLARED, tmp_path / "encoder.onnx")
    declared = DECLARED.changed(external={"mine.bin": "0" * 64})
    assert export_own_encoder(path, declared, tmp_path / "encoder.onnx") == 3


@pytest.mark.parametrize(
    ("entries", "n_bytes", "found"),
    [
        ({"offset": "12", "length": "12"}, 20, "lie at 12 of 20 bytes"),
        ({"offset": "-8", "length": "12"}, 20, "form that is not known|of 12 bytes|where their shape"),
        ({"length": "8"}, 20, "of 8 bytes where their shape has 12"),
        ({"offset": "many", "length": "12"}, 20, "form that is not known"),
        ({"length": "12"}, 1_000_000, "another file of 1000000 bytes that holds 12"),
        ({"length": "12", "basepath": "/"}, 20, "form that is not known"),
    ],
)
def test_weights_that_do_not_fill_their_file(entries: dict, n_bytes: int, found: str, tmp_path: Path) -> None:
    path = beside(tmp_path, **entries)
    (tmp_path / "theirs.onnx.data").write_bytes(bytes(n_bytes))
    with pytest.raises(EfnstError, match=found):
        export_own_encoder(path, DECLARED, tmp_path / "encoder.onnx")
    assert not (tmp_path / "encoder.onnx").exists()


def test_a_link_beside_the_graph_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(12))
    path = beside(folder, length="12")
    (folder / "theirs.onnx.data").symlink_to(tmp_path / "secret")
    with pytest.raises(EfnstError, match="a link that leads out of the graph's folder"):
        export_own_encoder(path, DECLARED, tmp_path / "encoder.onnx")
    with pytest.raises(EfnstError, match="a link that leads out of the graph's folder"):
        own_files(path, DECLARED)


def test_files_staged_as_links_are_those_of_the_folder_they_lead_to(tmp_path: Path) -> None:
    for name in ("given", "task"):
        (tmp_path / name).mkdir()
    beside(tmp_path / "given", length="12")
    (tmp_path / "given" / "theirs.onnx.data").write_bytes(FIVE[:3].tobytes())
    for name in ("theirs.onnx", "theirs.onnx.data"):
        (tmp_path / "task" / name).symlink_to(tmp_path / "given" / name)
    assert export_own_encoder(tmp_path / "task" / "theirs.onnx", DECLARED, tmp_path / "encoder.onnx") == 3


def test_weights_are_not_lost_where_a_graph_is_exported_over_them(tmp_path: Path) -> None:
    path = beside(tmp_path, "encoder.onnx.data", length="12")
    (tmp_path / "encoder.onnx.data").write_bytes(FIVE[:3].tobytes())
    declared = DECLARED.changed(external={"encoder.onnx.data": "0" * 64})
    with pytest.raises(EfnstError, match="Expected another --outdir"):
        export_own_encoder(path, declared, tmp_path / "encoder.onnx")
    assert (tmp_path / "encoder.onnx.data").read_bytes() == FIVE[:3].tobytes()


def test_weights_that_lie_on_each_other_are_refused(tmp_path: Path) -> None:
    """A small file could otherwise stand for any memory."""
    first, second = elsewhere("theirs.onnx.data", length="12"), elsewhere("theirs.onnx.data", length="12")
    second.name = "again"
    nodes = [
        POOL,
        helper.make_node("Add", ["pooled", "weights"], ["more"]),
        helper.make_node("Add", ["more", "again"], ["features"]),
    ]
    path = model(nodes, tmp_path / "theirs.onnx", initializer=[first, second])
    (tmp_path / "theirs.onnx.data").write_bytes(bytes(12))
    with pytest.raises(EfnstError, match="lie at 0 of 12 bytes, after 12"):
        export_own_encoder(path, DECLARED, tmp_path / "encoder.onnx")


def test_weights_within_are_taken(tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.ones(3, np.float32), "weights")
    add = helper.make_node("Add", ["pooled", "weights"], ["features"])
    path = model([POOL, add], tmp_path / "theirs.onnx", initializer=[weights])
    assert export_own_encoder(path, DECLARED, tmp_path / "encoder.onnx") == 3
