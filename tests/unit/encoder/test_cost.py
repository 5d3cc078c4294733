"""Multiply-adds against numbers worked out by hand, and times in words."""

import onnx
import pytest
from onnx import TensorProto, helper

from efnst.encoder.cost import cost_in_words, cpu_threads, in_words, measured_speed, multiply_adds


def model(nodes: list, **weights: list[int]) -> onnx.ModelProto:
    """A graph from images [n, 3, 8, 8] to features, with weights of these shapes."""
    tensors = [onnx.helper.make_tensor(name, 1, dims, [0.0] * prod(dims)) for name, dims in weights.items()]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 8, 8])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", None])
    graph = helper.make_graph(nodes, "costs", [images], [features], initializer=tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def prod(dims: list[int]) -> int:
    total = 1
    for size in dims:
        total *= size
    return total


def node(kind: str, inputs: list[str], output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], **attributes)


def test_a_convolution_and_two_products() -> None:
    nodes = [
        node("Conv", ["images", "kernel"], "maps", strides=[2, 2]),  # [n, 4, 4, 4]: 64 results of 3 × 2 × 2
        node("Flatten", ["maps"], "flat"),
        node("Gemm", ["flat", "first"], "hidden", transB=1),  # 10 results of 64
        node("MatMul", ["hidden", "second"], "features"),  # 5 results of 10
    ]
    assert multiply_adds(model(nodes, kernel=[4, 3, 2, 2], first=[10, 64], second=[10, 5])) == 64 * 12 + 640 + 50


def test_groups_of_a_convolution_count_once() -> None:
    nodes = [
        node("Conv", ["images", "kernel"], "maps", group=3),  # [n, 3, 6, 6] of 3 × 3
        node("GlobalAveragePool", ["maps"], "pooled"),
        node("Flatten", ["pooled"], "features"),
    ]
    assert multiply_adds(model(nodes, kernel=[3, 1, 3, 3])) == 3 * 36 * 9


def test_what_cannot_be_told_is_not_known() -> None:
    nodes = [
        node("NonZero", ["images"], "where"),
        node("Cast", ["where"], "numbers", to=TensorProto.FLOAT),
        node("MatMul", ["numbers", "second"], "features"),
    ]
    assert multiply_adds(model(nodes, second=[10, 5])) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 seconds"), (90, "90 seconds"), (150, "2 minutes"), (7100, "118 minutes"), (3 * 86_400, "3 days")],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_the_cost_as_one_line() -> None:
    told = cost_in_words(5000, 4_600_000_000, 240, "2 CPU threads")
    assert told == "5,000 patches × 4.6 G multiply-adds: some 4 minutes on 2 CPU threads"


def test_threads_in_words() -> None:
    assert [cpu_threads(number) for number in (1, 2)] == ["1 CPU thread", "2 CPU threads"]


def test_the_speed_of_this_device() -> None:
    assert 1e8 < measured_speed("CPUExecutionProvider", 1) < 1e15
