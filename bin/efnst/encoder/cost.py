"""What an encoder costs: multiply-adds of a patch, the speed of a device, and the time that they make."""

import math
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from efnst.encoder.external import put_aside
from efnst.errors import reading
from efnst.program.memory import bounded_memory
from efnst.records.encoder import EncoderDeclaration

CPU_PROVIDER, GPU_PROVIDER = "CPUExecutionProvider", "CUDAExecutionProvider"
SIDE = 1024  # of the square matrices whose product measures a device
ROUNDS = 5
UNITS = ((86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))


def multiply_adds(model: onnx.ModelProto) -> int | None:
    """Multiply-adds of convolutions and matrix products for a batch of one; None where shapes cannot be told.

    `model` has one image input [n, …] of fixed size; weights may be among its further inputs.
    """
    single = onnx.ModelProto()
    single.CopyFrom(model)
    single.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del single.graph.value_info[:]  # of any batch
    try:
        known = _shapes(onnx.shape_inference.infer_shapes(single, data_prop=True))
        return sum(_of_node(node, known) for node in single.graph.node) or None
    except (LookupError, RuntimeError, ValueError, onnx.shape_inference.InferenceError):
        return None


def _shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """The shape of every tensor whose sizes are all known, by name."""
    tensors = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    shapes = {each.name: [size.dim_value for size in each.type.tensor_type.shape.dim] for each in tensors}
    known = {name: shape for name, shape in shapes.items() if all(shape)}
    return known | {weights.name: list(weights.dims) for weights in model.graph.initializer}


def _of_node(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> int:
    """Multiply-adds of one node; KeyError where a shape is not known."""
    if node.op_type not in ("Conv", "MatMul", "Gemm"):
        return 0
    n_results = math.prod(shapes[node.output[0]])
    if node.op_type == "Conv":  # weights [n_out, n_in / groups, *kernel]
        return n_results * math.prod(shapes[node.input[1]][1:])
    is_transposed = any(each.name == "transA" and each.i for each in node.attribute)
    return n_results * shapes[node.input[0]][0 if is_transposed else -1]


def measured_speed(provider: str, threads: int) -> float | None:
    """Multiply-adds per second of a device: the fastest of some products of large matrices by onnxruntime.

    None where the device that `provider` stands for is not there.
    """
    matrix = helper.make_tensor_value_info("a", TensorProto.FLOAT, [SIDE, SIDE])
    result = helper.make_tensor_value_info("product", TensorProto.FLOAT, [SIDE, SIDE])
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "a"], ["product"])], "speed", [matrix], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=list(dict.fromkeys((provider, CPU_PROVIDER)))
    )
    if session.get_providers()[0] != provider:
        return None
    given = {"a": np.ones((SIDE, SIDE), np.float32)}
    return SIDE**3 / min(_seconds(session, given) for _ in range(ROUNDS))


def _seconds(session: onnxruntime.InferenceSession, given: dict[str, np.ndarray]) -> float:
    """How long one run takes."""
    start = time.perf_counter()
    session.run(None, given)
    return time.perf_counter() - start


def cost_of_run(encoder: Path, declared: EncoderDeclaration, n_patches: int, threads: int) -> str:
    """What `n_patches` would cost on this device with an encoder of the user's own, as one line.

    The speed is that of a matrix product, which no encoder exceeds.
    """
    per_patch = declared.multiply_adds
    if per_patch is None:
        with bounded_memory(encoder), reading(encoder):
            model = onnx.load(encoder, load_external_data=False)
        put_aside(model)
        per_patch = multiply_adds(model)
    if per_patch is None:
        return f"{n_patches:,} patches; what {declared.name} computes for one is not known"
    provider, speed = _fastest(threads)
    place = cpu_threads(threads) if provider == CPU_PROVIDER else "a GPU"
    return f"at least, {cost_in_words(n_patches, per_patch, n_patches * per_patch / speed, place)}"


def _fastest(threads: int) -> tuple[str, float]:
    """The provider of this machine's fastest device, and its speed; where there is a GPU's library, a GPU may lack."""
    speed = measured_speed(GPU_PROVIDER, threads) if GPU_PROVIDER in onnxruntime.get_available_providers() else None
    return (GPU_PROVIDER, speed) if speed else (CPU_PROVIDER, measured_speed(CPU_PROVIDER, threads))


def cpu_threads(number: int) -> str:
    """So many threads, in words."""
    return f"{number} CPU thread{'s' if number > 1 else ''}"


def in_words(seconds: float) -> str:
    """A time as people say it: the largest unit of which there are two or more."""
    size, unit = next((each for each in UNITS if seconds >= 2 * each[0]), UNITS[-1])
    return f"{max(1, round(seconds / size))} {unit}"


def cost_in_words(n_patches: int, per_patch: int | None, seconds: float, device: str) -> str:
    """What `n_patches` of so many multiply-adds each cost, in `seconds` on a device, as one line."""
    each = f" × {per_patch / 1e9:.3g} G multiply-adds" if per_patch else ""
    return f"{n_patches:,} patches{each}: some {in_words(seconds)} on {device}"
