"""Encoders that users bring: an ONNX file and a small JSON file that declares what it takes (declaration.py).

Resize and normalisation are put before the graph, so that what comes out takes patches of any size, like the encoders
of `efnst.encoder.efficientnet`.

An ONNX graph computes and does nothing else, once weights elsewhere than in one file beside it are refused
(external.py). How long it computes and what memory it asks for is its own affair, so that it is checked in a process
with limits. TorchScript is not taken: it can read and write files, when it is run and already when it is loaded.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, compose, helper, version_converter

from efnst.encoder.cost import multiply_adds
from efnst.encoder.declaration import image_shape
from efnst.encoder.efficientnet import LARGEST_DIFFERENCE, PatchPreparation, to_onnx
from efnst.encoder.external import ElsewhereError, copy_data, data_files, data_name, external_file, put_aside, put_back
from efnst.errors import EfnstError, reading
from efnst.names import MULTIPLY_ADDS, PRECISION
from efnst.program.apart import NotAnsweredError, run_apart
from efnst.program.memory import bounded_memory
from efnst.records.encoder import EncoderDeclaration

WHOLE = "an ONNX file with the weights inside, or in one file beside it that they fill"
SECONDS, BYTES_A_SECOND = 120, 10_000_000  # of computing, for putting the preparation before an encoder and checking it
FREE_BYTES = 6_000_000_000  # of memory for the same, besides
DATA_FACTOR = 3  # times the weights in another file: as they are, as onnxruntime packs them, and to spare
ARCHIVE = b"PK\x03\x04"
OLDEST_OPSET = 13
LATEST_OPSET = 20  # that PyTorch's exporter knows
PREFIX = "network/"  # of the names of a user's graph within the whole


def export_in_time(encoder: Path, declared: EncoderDeclaration, path: Path, threads: int) -> int:
    """`export_own_encoder` in a process of its own, which has `SECONDS`, and more for large files."""
    _refuse_archives(encoder)
    size = sum(file.stat().st_size for file in own_files(encoder, declared))
    try:
        return run_apart(SECONDS + size / BYTES_A_SECOND, _export, encoder, declared, path, threads)
    except NotAnsweredError as error:
        raise _misfit(encoder, "a graph that onnxruntime can run in reasonable time", error) from error


def _export(encoder: Path, declared: EncoderDeclaration, path: Path, threads: int) -> int:
    """`export_own_encoder` with so many threads and bounded memory."""
    torch.set_num_threads(threads)
    data_bytes = sum(file.stat().st_size for file in own_files(encoder, declared)[1:])
    with bounded_memory(encoder, FREE_BYTES + DATA_FACTOR * data_bytes):
        return export_own_encoder(encoder, declared, path)


def own_files(encoder: Path, declared: EncoderDeclaration) -> list[Path]:
    """The file of an encoder and, where there are such, those beside it that may hold its weights."""
    try:
        return [encoder, *data_files(encoder, list(declared.external or {}))]
    except ElsewhereError as error:
        raise _misfit(encoder, WHOLE, error) from error


def export_own_encoder(encoder: Path, declared: EncoderDeclaration, path: Path) -> int:
    """Write `encoder` with its preparation to `path` as ONNX; return the number of features.

    Raises `EfnstError` where the file does not fit its declaration.
    """
    _refuse_archives(encoder)
    preparation = PatchPreparation(declared.input_px, declared.mean, declared.std, declared.layout == "NHWC")
    data = _export_onnx(encoder, declared, preparation, path)
    if data:
        copy_data(data, path.with_name(data_name(path.name)))
    return _check_run(encoder, path)


def _refuse_archives(path: Path) -> None:
    """Refuse what `torch.save` and `torch.jit.save` write, zip archives, without opening them."""
    if not path.exists():
        raise EfnstError(f"Expected an encoder in `{path}`, found no such file.")
    with reading(path), path.open("rb") as file:
        start = file.read(4)
    if start == ARCHIVE:
        raise _misfit(path, "ONNX", "an archive of PyTorch, which may run code; if you trust it, convert it")


def _export_onnx(path: Path, declared: EncoderDeclaration, preparation: PatchPreparation, target: Path) -> Path | None:
    """Write the ONNX graph in `path` behind its preparation to `target`; return the file that holds its weights."""
    model, aside, data = _read_onnx(path, declared)
    facts = {PRECISION: declared.precision or "fp32", MULTIPLY_ADDS: str(multiply_adds(model) or "")}
    network = compose.add_prefix(model, PREFIX)
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
    put_back(whole, aside, PREFIX, data_name(target.name))
    helper.set_model_props(whole, {name: value for name, value in facts.items() if value})
    target.write_bytes(whole.SerializeToString())
    return data


def _read_onnx(path: Path, declared: EncoderDeclaration) -> tuple[onnx.ModelProto, list[TensorProto], Path | None]:
    """The ONNX model in `path`, with the one input and the one output that are declared.

    Beside it the weights that are in another file, which `put_aside` made inputs of, and that file.
    """
    try:
        model = onnx.load(path, load_external_data=False)
        data = external_file(model, own_files(path, declared)[1:])
        inputs = _without_weights(model)
        aside = put_aside(model)
        onnx.checker.check_model(model)
    except EfnstError:
        raise
    except Exception as error:  # protobuf, onnx and the file system raise types of their own
        raise _misfit(path, WHOLE, error) from error
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise _misfit(path, "one input and one output", f"{len(inputs)} and {len(model.graph.output)}")
    _check_shape(path, inputs[0], ["n", *image_shape(declared)])
    _check_shape(path, model.graph.output[0], ["n", "n_features"])
    if _opset(model) < OLDEST_OPSET:
        raise _misfit(path, f"ONNX opset {OLDEST_OPSET} or later", f"opset {_opset(model)}")
    return model, aside, data


def _without_weights(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """The inputs of `model`, which it keeps; weights listed among them, as old exporters do, could not be folded."""
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    return inputs


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


def _opset(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators in `model`."""
    return next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def _misfit(path: Path, expected: str, found: object) -> EfnstError:
    """The error for an encoder `path` that is not what was `expected`."""
    return EfnstError(
        f"Expected `{path.name}` to be {expected}; found: {' '.join(str(found).split())[-300:]}. See docs/encoders.md."
    )
