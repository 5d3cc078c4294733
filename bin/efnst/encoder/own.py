"""Encoders that users bring: an ONNX file and a small JSON file that declares what it takes.

The declaration, beside the file and of the same name:

    {"name": "mine", "input_px": 224, "layout": "NCHW", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}

`mean` and `std` are those of colours from 0 to 1. Resize and normalisation are put before the graph, so that what
comes out takes patches of any size, like the encoders of `efnst.encoder.efficientnet`.

An ONNX graph computes and does nothing else, once weights in other files are refused. How long it computes and what
memory it asks for is its own affair, so that it is checked in a process with limits. TorchScript is not taken: it can
read and write files, when it is run and already when it is loaded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from google.protobuf.message import Message
from jsonschema import Draft202012Validator
from onnx import TensorProto, compose, helper, version_converter
from onnx.external_data_helper import uses_external_data

from efnst.encoder.efficientnet import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    LARGEST_DIFFERENCE,
    PatchPreparation,
    to_onnx,
)
from efnst.errors import EfnstError, reading
from efnst.program.apart import NotAnsweredError, run_apart
from efnst.program.documents import document_text, load_json
from efnst.program.memory import bounded_memory

LAYOUTS = ("NCHW", "NHWC")
LARGEST_INPUT_PX = 2048
COLOUR = {"type": "number", "minimum": -1000, "maximum": 1000}
COLOURS = {"type": "array", "items": COLOUR, "minItems": 3, "maxItems": 3}
DECLARATION = {
    "type": "object",
    "additionalProperties": False,
    "required": ["input_px"],
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$", "maxLength": 100},
        "input_px": {"type": "integer", "minimum": 8, "maximum": LARGEST_INPUT_PX},
        "layout": {"enum": list(LAYOUTS)},
        "mean": COLOURS,
        "std": {**COLOURS, "items": {**COLOUR, "exclusiveMinimum": 0}},
    },
}
WHOLE = "one whole ONNX file with the weights inside"
SECONDS, BYTES_A_SECOND = 120, 10_000_000  # of computing, for putting the preparation before an encoder and checking it
FREE_BYTES = 6_000_000_000  # of memory for the same
ARCHIVE = b"PK\x03\x04"
OLDEST_OPSET = 13
LATEST_OPSET = 20  # that PyTorch's exporter knows


@dataclass(frozen=True)
class Declaration:
    """What an encoder takes: float32 images of `input_px` in `layout`, (colour / 255 - `mean`) / `std`."""

    name: str
    input_px: int
    layout: str = "NCHW"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def as_record(self) -> dict:
        """The declaration as encoder.json holds it."""
        return vars(self) | {"mean": list(self.mean), "std": list(self.std)}


def read_declaration(path: Path, encoder: Path) -> Declaration:
    """Read and check the declaration `path` of the file `encoder`, whose name it has unless it says another."""
    if not path.exists():
        raise EfnstError(
            f"Expected `{path.name}` beside `{encoder.name}`, declaring its input (input_px, layout, mean, std), found "
            "no such file. See docs/usage.md, `An encoder of your own`."
        )
    try:
        given = load_json(document_text(path))
    except ValueError as error:
        raise EfnstError(f"Expected `{path.name}` to be JSON, found: {error}.") from error
    problems = [
        f"{'/'.join(map(str, problem.path)) or 'it'}: {problem.message}"
        for problem in Draft202012Validator(DECLARATION).iter_errors(given)
    ]
    if problems:
        raise EfnstError(f"Expected `{path.name}` to declare an encoder, found {'; '.join(sorted(problems))[:500]}.")
    return Declaration(**{"name": encoder.stem} | given)


def export_in_time(encoder: Path, declared: Declaration, path: Path, threads: int) -> int:
    """`export_own_encoder` in a process of its own, which has `SECONDS`, and more for a large file."""
    size = encoder.stat().st_size if encoder.exists() else 0
    try:
        return run_apart(SECONDS + size / BYTES_A_SECOND, _export, encoder, declared, path, threads)
    except NotAnsweredError as error:
        raise _misfit(encoder, "a graph that onnxruntime can run in reasonable time", error) from error


def _export(encoder: Path, declared: Declaration, path: Path, threads: int) -> int:
    """`export_own_encoder` with so many threads and bounded memory."""
    torch.set_num_threads(threads)
    with bounded_memory(encoder, FREE_BYTES):
        return export_own_encoder(encoder, declared, path)


def export_own_encoder(encoder: Path, declared: Declaration, path: Path) -> int:
    """Write `encoder` with its preparation to `path` as ONNX; return the number of features.

    Raises `EfnstError` where the file does not fit its declaration.
    """
    _refuse_archives(encoder)
    preparation = PatchPreparation(declared.input_px, declared.mean, declared.std, declared.layout == "NHWC")
    _export_onnx(encoder, declared, preparation, path)
    return _check_run(encoder, path)


def _refuse_archives(path: Path) -> None:
    """Refuse what `torch.save` and `torch.jit.save` write, zip archives, without opening them."""
    if not path.exists():
        raise EfnstError(f"Expected an encoder in `{path}`, found no such file.")
    with reading(path), path.open("rb") as file:
        start = file.read(4)
    if start == ARCHIVE:
        raise _misfit(path, "ONNX", "an archive of PyTorch, which may run code; if you trust it, convert it")


def _export_onnx(path: Path, declared: Declaration, preparation: PatchPreparation, target: Path) -> None:
    """Write the ONNX graph in `path` behind its preparation to `target`."""
    network = compose.add_prefix(_read_onnx(path, declared), "network/")
    to_onnx(preparation, target, min(_opset(network), LATEST_OPSET))
    front = onnx.load(target)
    if _opset(network) > LATEST_OPSET:
        front = version_converter.convert_version(front, _opset(network))
    front.ir_version = network.ir_version = max(front.ir_version, network.ir_version)
    front = compose.add_prefix(front, "preparation/", rename_inputs=False)
    joint = (front.graph.output[0].name, network.graph.input[0].name)
    whole = compose.merge_models(front, network, io_map=[joint])
    whole.graph.node.append(helper.make_node("Identity", [whole.graph.output[0].name], ["features"], "features"))
    del whole.graph.output[:]
    whole.graph.output.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", None]))
    onnx.save(whole, target)


def _read_onnx(path: Path, declared: Declaration) -> onnx.ModelProto:
    """The ONNX model in `path`, with the one input and the one output that are declared."""
    try:
        model = onnx.load(path, load_external_data=False)
        _refuse_what_is_elsewhere(model, path)
        onnx.checker.check_model(model)
    except EfnstError:
        raise
    except Exception as error:  # protobuf, onnx and the file system raise types of their own
        raise _misfit(path, WHOLE, error) from error
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in weights]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise _misfit(path, "one input and one output", f"{len(inputs)} and {len(model.graph.output)}")
    del model.graph.input[:]  # weights listed among the inputs, as old exporters do, cannot be folded
    model.graph.input.extend(inputs)
    _check_shape(path, inputs[0], ["n", *_image_shape(declared)])
    _check_shape(path, model.graph.output[0], ["n", "n_features"])
    if _opset(model) < OLDEST_OPSET:
        raise _misfit(path, f"ONNX opset {OLDEST_OPSET} or later", f"opset {_opset(model)}")
    return model


def _refuse_what_is_elsewhere(model: onnx.ModelProto, path: Path) -> None:
    """Refuse weights in other files, or at an address in the memory of the process."""
    if any(uses_external_data(message) for message in _messages(model) if isinstance(message, onnx.TensorProto)):
        raise _misfit(path, WHOLE, "weights in another file")


def _messages(message: Message) -> Iterator[Message]:
    """A message of protobuf and all that it holds, at any depth: weights, attributes, graphs within graphs."""
    yield message
    for field, value in message.ListFields():
        if field.message_type:
            for inner in [value] if isinstance(value, Message) else value:
                yield from _messages(inner)


def _check_shape(path: Path, tensor: onnx.ValueInfoProto, expected: list[str | int]) -> None:
    """Raise unless `tensor` is float32 and has the shape `expected`; names stand for sizes that are free."""
    kind = tensor.type.tensor_type
    sizes = [size.dim_value if size.HasField("dim_value") else size.dim_param or "?" for size in kind.shape.dim]
    fits = len(sizes) == len(expected) and all(
        isinstance(size, str) or isinstance(wanted, str) or size == wanted
        for size, wanted in zip(sizes, expected, strict=True)
    )
    if kind.elem_type != TensorProto.FLOAT or not fits:
        kind_name = TensorProto.DataType.Name(kind.elem_type).lower()
        raise _misfit(path, f"float {expected} for `{tensor.name}`, as declared", f"{kind_name} {sizes}")
    if not isinstance(sizes[0], str):
        raise _misfit(
            path, "a first dimension of any size (export it with dynamic axes)", f"{sizes} for `{tensor.name}`"
        )


def _check_run(encoder: Path, path: Path) -> int:
    """Run the exported graph: the features of a patch must be one finite row that its neighbours do not change."""
    random = np.random.default_rng(0)
    patches = random.integers(0, 256, (3, 50, 50, 3), dtype=np.uint8)
    try:
        one_thread = onnxruntime.SessionOptions()
        one_thread.intra_op_num_threads = 1  # others would count as computing while they wait
        session = onnxruntime.InferenceSession(str(path), one_thread, providers=["CPUExecutionProvider"])
        together = session.run(None, {"patches": patches})[0]
        alone = session.run(None, {"patches": patches[:1]})[0]
    except Exception as error:  # onnxruntime raises many types for a graph that cannot run
        raise _misfit(encoder, "a graph that onnxruntime can run", error) from error
    if together.ndim != 2 or len(together) != len(patches) or not np.isfinite(together).all():
        raise _misfit(encoder, "finite features [n, n_features]", f"shape {together.shape}")
    if np.abs(alone[0] - together[0]).max() > LARGEST_DIFFERENCE * max(np.abs(together).max(), 1e-9):
        raise _misfit(
            encoder,
            "features that do not depend on the batch",
            "a graph that mixes patches (exported in training mode?)",
        )
    return together.shape[1]


def _image_shape(declared: Declaration) -> tuple[int, int, int]:
    """Shape of one image in the declared layout."""
    px = declared.input_px
    return (3, px, px) if declared.layout == "NCHW" else (px, px, 3)


def _opset(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators in `model`."""
    return next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def _misfit(path: Path, expected: str, found: object) -> EfnstError:
    """The error for an encoder `path` that is not what was `expected`."""
    return EfnstError(
        f"Expected `{path.name}` to be {expected}; found: {' '.join(str(found).split())[-300:]}. "
        "See docs/usage.md, `An encoder of your own`."
    )
