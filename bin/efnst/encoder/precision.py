"""The number format that an exported encoder computes in."""

from pathlib import Path

import numpy as np
import onnx
from onnx import compose
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from efnst.encoder.efficientnet import run_graph
from efnst.encoder.quantisation import open_model, quantise
from efnst.errors import EfnstError
from efnst.names import PRECISION
from efnst.program.numbers import beyond

LEAST_COSINE = 0.99  # of the features to those in fp32; in int8 the median
FEWEST_PATCHES = 32  # to calibrate int8 and to check it


def to_fp16(path: Path, patches: list[np.ndarray]) -> float:
    """Rewrite the fp32 encoder in `path` to compute in fp16; return the least cosine to fp32 over batches of `patches`.

    Resize and normalisation, which work on colours up to 255, stay in fp32, and so do the features that come out.
    Raises `EfnstError` when a cosine is below `LEAST_COSINE`.
    """
    expected = [run_graph(path, batch) for batch in patches]
    preparation, network = split_preparation(onnx.load(path))
    (joint,) = preparation.graph.output
    network = OnnxModel(convert_float_to_float16(network, keep_io_types=True))
    network.topological_sort()  # the conversion adds its nodes at the end
    onnx.save(compose.merge_models(preparation, network.model, io_map=[(joint.name, joint.name)]), path)
    mark_precision(path, "fp16")
    least = min(
        float(cosines(run_graph(path, batch), fp32).min()) for batch, fp32 in zip(patches, expected, strict=True)
    )
    if not least >= LEAST_COSINE:
        raise EfnstError(
            f"Expected the features in fp16 to have a cosine of at least {LEAST_COSINE} to those in fp32, found "
            f"{beyond(least, LEAST_COSINE)}: this encoder needs --precision fp32."
        )
    return least


def to_int8(fp32: Path, path: Path, patches: list[np.ndarray], threads: int, seed: int) -> dict[str, float]:
    """Write the encoder in `fp32` to `path`, quantised to int8; return its entries of `encoder.json`.

    The first half of `patches`, uint8 [1, px, px, 3] each and in random order, calibrates, the other half is held out
    to compare the features with those in fp32: `median_cosine` and `least_cosine`. Resize and normalisation stay in
    fp32. Raises `EfnstError` when the median is below `LEAST_COSINE` or there are fewer than `FEWEST_PATCHES`.
    """
    if len(patches) < FEWEST_PATCHES:
        raise EfnstError(
            f"Expected at least {FEWEST_PATCHES} patches in the cohort to quantise the encoder with, found "
            f"{len(patches)}: choose --precision fp32."
        )
    n_calibration = len(patches) // 2
    _write_int8(fp32, path, patches[:n_calibration], threads, seed)
    held_out = patches[n_calibration:]
    cosine = _cosines_to_fp32(path, fp32, held_out, threads)
    median, least = float(np.median(cosine)), float(cosine.min())
    if not median >= LEAST_COSINE:
        raise EfnstError(
            f"Expected the features in int8 to have a median cosine of at least {LEAST_COSINE} to those in fp32, found "
            f"{beyond(median, LEAST_COSINE)} (least {least:.4f}) on {len(held_out)} patches: this encoder "
            "needs --precision fp32."
        )
    return {
        "median_cosine": median,
        "least_cosine": least,
        "n_calibration": n_calibration,
        "n_held_out": len(held_out),
    }


def _write_int8(fp32: Path, path: Path, patches: list[np.ndarray], threads: int, seed: int) -> None:
    """Write the encoder in `fp32` to `path`, its network quantised for the `patches`."""
    preparation, network = split_preparation(onnx.load(fp32))
    (joint,) = preparation.graph.output
    prepare = open_model(preparation, threads)
    images = np.concatenate([prepare.run(None, {"patches": patch})[0] for patch in patches])
    quantised = quantise(network, images, threads, seed)
    onnx.save(compose.merge_models(preparation, quantised, io_map=[(joint.name, quantised.graph.input[0].name)]), path)
    mark_precision(path, "int8")


def _cosines_to_fp32(path: Path, fp32: Path, patches: list[np.ndarray], threads: int) -> np.ndarray:
    """Cosine [n] between the features of two encoders for each of the patches, uint8 [1, px, px, 3]."""
    found, expected = (
        np.concatenate([session.run(None, {"patches": patch})[0] for patch in patches])
        for session in (open_model(onnx.load(file), threads) for file in (path, fp32))
    )
    return cosines(found, expected)


def split_preparation(model: onnx.ModelProto) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """The part of an exported encoder that resizes and normalises, and the network behind it."""
    nodes = model.graph.node
    prepared = {name for node in nodes if _prepares(node) for name in node.output}
    (joint,) = prepared & {name for node in nodes if not _prepares(node) for name in node.input}
    whole = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model))
    parts = whole.extract_model(["patches"], [joint]), whole.extract_model([joint], ["features"])
    for part in parts:
        del part.graph.value_info[:]  # inferred shapes of tensors of both parts, in the way when they are merged
        opsets = {entry.domain: entry.version for entry in part.opset_import}  # one is there twice after a merge
        del part.opset_import[:]
        part.opset_import.extend(onnx.helper.make_opsetid(*opset) for opset in opsets.items())
    return parts


def _prepares(node: onnx.NodeProto) -> bool:
    """Whether `node` belongs to the encoder's preparation."""
    return node.name.lstrip("/").startswith("preparation/")


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine [n] between the rows of `a` and of `b`, both [n, n_features]."""
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def mark_precision(path: Path, precision: str) -> None:
    """Write `precision` into the metadata of the graph in `path`."""
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {PRECISION: precision})
    onnx.save(model, path)
