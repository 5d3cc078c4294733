"""Quantising an exported encoder to int8: static ranges, then each convolution fitted again to the features in fp32."""

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, NodeProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from efnst.errors import EfnstError

WEIGHT_LEVELS = 63  # 7 bits: without VNNI a CPU adds products of uint8 and int8 in pairs in 16 bits
LARGEST_BIAS = 2**30
RIDGE = 0.3  # pull towards the weights in fp32, relative to the mean variance of a layer's inputs
POSITIONS = 48  # of each image that a layer is fitted on
BATCH_PX = 8 * 224 * 224  # of the images that run at once
MOVEMENT = {"group": 1, "strides": [1, 1], "pads": [0, 0, 0, 0], "dilations": [1, 1]}  # of a convolution, with defaults


def quantise(network: ModelProto, images: np.ndarray, threads: int, seed: int) -> ModelProto:
    """The float `network` in int8, calibrated on `images` float32 [n, channels, height, width] (or channels last).

    onnxruntime folds batch norms and takes the ranges, uint8 for activations and int8 for weights, one scale for each
    output channel. Rounding errors would add up from layer to layer; so each convolution, in the order in which they
    run, gets the weights and the bias that bring its outputs, from the inputs that the int8 network before it really
    gives, closest to those in fp32 (`fit`). Raises `EfnstError` when onnxruntime cannot quantise the network.
    """
    logging.disable(logging.WARNING)  # onnxruntime gives a line for each channel that it leaves to `fit`
    try:
        source, quantised = _static(network, images)
    except Exception as error:  # onnxruntime raises many types for what it cannot quantise
        raise EfnstError(
            f"The encoder could not be quantised ({' '.join(str(error).split())[:300]}): it needs --precision fp32."
        ) from error
    finally:
        logging.disable(logging.NOTSET)
    _refit(source, quantised, images, threads, seed)
    return quantised


def fit(
    inputs: np.ndarray, outputs: np.ndarray, weights: np.ndarray, input_scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of a layer as integers [groups, n_out, n_in] and scales [groups, n_out], and its bias [groups, n_out].

    With the inputs x [n, groups, n_in], the `outputs` y [n, groups, n_out] wanted and the `weights` W0 in fp32, W
    minimises mean |y - Wx - b|² + λ |W - W0|², λ being `RIDGE` times the mean variance of the inputs (ridge
    regression towards W0); b makes up for what rounding W does to the mean of the outputs. A bias is a whole number of
    scale × `input_scale` in 32 bits: where the weights are all but 0, their scale is the one that it needs.
    """
    mean_in, mean_out = inputs.mean(0, dtype=np.float64), outputs.mean(0, dtype=np.float64)
    x, y = ((a - mean.astype(np.float32)).transpose(1, 2, 0) for a, mean in ((inputs, mean_in), (outputs, mean_out)))
    covariance = (x @ x.transpose(0, 2, 1)).astype(np.float64) / len(inputs)
    shared = (y @ x.transpose(0, 2, 1)).astype(np.float64) / len(inputs)
    pull = RIDGE * covariance.trace(axis1=1, axis2=2)[:, None, None] / covariance.shape[1] + 1e-8
    fitted = np.linalg.solve(
        covariance + pull * np.eye(covariance.shape[1]), (shared + pull * weights).transpose(0, 2, 1)
    ).transpose(0, 2, 1)
    least = np.abs(mean_out - np.einsum("goi,gi->go", fitted, mean_in)) / (LARGEST_BIAS * input_scale) + 1e-12
    scales = np.maximum(np.abs(fitted).max(2) / WEIGHT_LEVELS, least).astype(np.float32)
    integers = np.rint(fitted / scales[:, :, None]).clip(-WEIGHT_LEVELS, WEIGHT_LEVELS)
    bias = mean_out - np.einsum("goi,gi->go", integers * scales[:, :, None], mean_in)
    return integers.astype(np.int8), scales, bias


@dataclass(frozen=True)
class Convolution:
    """A two-dimensional convolution of a graph: its weights [n_out, n_in / groups, height, width] and how it moves."""

    weights: np.ndarray
    groups: int
    strides: list[int]
    pads: list[int]
    dilations: list[int]

    def windows(self, images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """What the outputs at `rows` and `columns` see of `images` [n, n_in, height, width].

        [n × positions, groups, n_in / groups × height × width of the kernel], by image, then by position.
        """
        top, left, bottom, right = self.pads
        if any(self.pads):
            images = np.pad(images, ((0, 0), (0, 0), (top, bottom), (left, right)))
        height, width = self.weights.shape[2:]
        seen = images[
            :,
            :,
            (rows * self.strides[0])[:, None, None] + np.arange(height)[:, None] * self.dilations[0],
            (columns * self.strides[1])[:, None, None] + np.arange(width) * self.dilations[1],
        ]
        n, n_in, n_positions = seen.shape[:3]
        seen = seen.reshape(n, self.groups, n_in // self.groups, n_positions, height * width)
        return seen.transpose(0, 3, 1, 2, 4).reshape(n * n_positions, self.groups, -1)


class _Images(CalibrationDataReader):
    """Batches of images as onnxruntime's calibration asks for them."""

    def __init__(self, name: str, images: np.ndarray) -> None:
        self.batches = ({name: batch} for batch in _batches(images))

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.batches, None)


def _batches(images: np.ndarray) -> Iterator[np.ndarray]:
    """`images` in batches whose memory does not grow with the size of one."""
    size = max(1, BATCH_PX * images.shape[1] // images[0].size)
    return (images[first : first + size] for first in range(0, len(images), size))


def _static(network: ModelProto, images: np.ndarray) -> tuple[ModelProto, ModelProto]:
    """The network with batch norms folded, and its static quantisation, with the same names of nodes."""
    with tempfile.TemporaryDirectory() as folder:
        given, folded, static = (Path(folder) / f"{name}.onnx" for name in ("given", "folded", "static"))
        onnx.save(network, given)
        quant_pre_process(given, folded, skip_symbolic_shape=True)
        source = _with_biases(onnx.load(folded))
        onnx.save(source, folded)
        quantize_static(
            folded,
            static,
            _Images(source.graph.input[0].name, images),
            per_channel=True,
            reduce_range=True,  # of the weights, see WEIGHT_LEVELS
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return source, onnx.shape_inference.infer_shapes(onnx.load(static))


def _with_biases(model: ModelProto) -> ModelProto:
    """`model` with a bias in every convolution."""
    values = _initializers(model)
    for number, node in enumerate(model.graph.node):
        if node.op_type == "Conv":
            node.name = node.name or f"convolution_{number}"
            if len(node.input) == 2 and node.input[1] in values:
                n_out = values[node.input[1]].dims[0]
                node.input.append(f"{node.name}_bias")
                model.graph.initializer.append(numpy_helper.from_array(np.zeros(n_out, np.float32), node.input[2]))
    return model


def _refit(source: ModelProto, quantised: ModelProto, images: np.ndarray, threads: int, seed: int) -> None:
    """Replace weights and biases of the convolutions of `quantised`, one after another."""
    values, made_by = _initializers(quantised), {name: node for node in quantised.graph.node for name in node.output}
    layers = dict(_convolutions(source, quantised))
    targets, positions = _outputs(source, layers, images, threads, seed)
    for name, (layer, node) in layers.items():
        given, weights, bias = (made_by[tensor].input for tensor in node.input)
        inputs = _inputs(quantised, node.input[0], layer, images, positions[name], threads)
        wanted = targets.pop(name).reshape(len(inputs), layer.groups, -1)
        input_scale = numpy_helper.to_array(values[given[1]])
        integers, scales, new_bias = fit(inputs, wanted, layer.weights.reshape(*wanted.shape[1:], -1), input_scale)
        step = input_scale * scales.ravel()  # of the sums of products
        replaced = {
            weights[0]: integers.reshape(layer.weights.shape),
            weights[1]: scales.ravel(),
            bias[0]: np.rint(new_bias.ravel() / step).astype(np.int32),
            bias[1]: step,
        }
        for tensor, value in replaced.items():
            values[tensor].CopyFrom(numpy_helper.from_array(value, tensor))


def _convolutions(source: ModelProto, quantised: ModelProto) -> Iterator[tuple[str, tuple[Convolution, NodeProto]]]:
    """Output in `source`, layer in fp32 and node in int8 of each convolution that can be fitted, as they run."""
    values, nodes = _initializers(source), {node.name: node for node in quantised.graph.node}
    dequantised = {node.output[0] for node in quantised.graph.node if node.op_type == "DequantizeLinear"}
    for node in source.graph.node:
        options = {option.name: helper.get_attribute_value(option) for option in node.attribute}
        inputs = nodes[node.name].input if node.op_type == "Conv" else []
        if len(inputs) == 3 and dequantised.issuperset(inputs) and options.get("auto_pad", b"NOTSET") == b"NOTSET":
            weights = numpy_helper.to_array(values[node.input[1]])
            if weights.ndim == 4:
                movement = (options.get(key, preset) for key, preset in MOVEMENT.items())
                yield node.output[0], (Convolution(weights, *movement), nodes[node.name])


def _outputs(
    source: ModelProto, layers: dict, images: np.ndarray, threads: int, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Outputs [n × positions, n_out] of each layer of `source` in fp32, and the rows and columns of these positions."""
    random, positions, outputs = np.random.default_rng(seed), {}, {name: [] for name in layers}
    for batch in _run(source, list(layers), images, threads):
        for name, found in zip(layers, batch, strict=True):
            if name not in positions:
                chosen = random.permutation(found[0, 0].size)[:POSITIONS]
                positions[name] = np.divmod(chosen, found.shape[3])
            rows, columns = positions[name]
            outputs[name].append(found[:, :, rows, columns].transpose(0, 2, 1).reshape(-1, found.shape[1]))
    return {name: np.concatenate(parts) for name, parts in outputs.items()}, positions


def _inputs(
    quantised: ModelProto, tensor: str, layer: Convolution, images: np.ndarray, positions: tuple, threads: int
) -> np.ndarray:
    """What `layer` sees at its `positions` of the `tensor` that goes into it, in the network as it is quantised."""
    return np.concatenate([layer.windows(given, *positions) for (given,) in _run(quantised, [tensor], images, threads)])


def _run(model: ModelProto, tensors: list[str], images: np.ndarray, threads: int) -> Iterator[list[np.ndarray]]:
    """The named `tensors` inside `model` for each batch of `images`."""
    (source,) = model.graph.input
    part = onnx.utils.Extractor(model).extract_model([source.name], tensors)
    session = open_model(part, threads)
    for batch in _batches(images):
        yield session.run(tensors, {source.name: batch})


def open_model(model: ModelProto, threads: int) -> onnxruntime.InferenceSession:
    """A session that runs `model` on the CPU."""
    return _open(model.SerializeToString(), threads)


def open_file(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """The same of a graph in a file, whose weights may lie in another."""
    return _open(str(path), threads)


def _open(graph: bytes | str, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _initializers(model: ModelProto) -> dict[str, onnx.TensorProto]:
    """The constants of `model` by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}
