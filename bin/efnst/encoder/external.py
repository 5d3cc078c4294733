"""Weights of an ONNX graph in one file beside it, as graphs beyond 2 GB have them.

Such a file is named by the graph, which may be a stranger's. So it is taken only from the folder that the graph lies
in, links followed, under a name that is declared or usual, and only where the graph's weights fill it, none twice.
"""

import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnx
from google.protobuf.message import Message
from onnx import TensorProto, helper
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from efnst.errors import EfnstError, require_ordinary
from efnst.records.encoder import EncoderDeclaration

ENDINGS = (".data", "_data")  # after the name of the graph, as exporters call the file
PADDING = 65_536  # bytes before each tensor that writers leave to align it
ALIGNED, BLOCK = 4096, 2**24  # bytes: what each tensor starts at a multiple of, and what is copied at once
KEYS = {"location", "offset", "length", "checksum"}


class ElsewhereError(Exception):
    """Weights in another file that are not taken; the message says what was found."""


def data_files(graph: Path, names: list[str]) -> list[Path]:
    """The files beside `graph` that may hold its weights: those of these names, else those usually called so.

    Raises ElsewhereError where one of them is not in the same folder, links followed, or is no ordinary file.
    """
    files = [graph.parent / name for name in names or [graph.name + ending for ending in ENDINGS]]
    found = [_checked(file, graph) for file in files if os.path.lexists(file)]
    if names and len(found) < len(names):
        raise ElsewhereError(f"weights in another file, `{names[0]}`, which is not beside it")
    return found


def external_file(model: onnx.ModelProto, known: list[Path]) -> Path | None:
    """The one of the `known` files that holds the weights of `model`; None where it holds them itself.

    Raises ElsewhereError where they are in any other, or do not fill it.
    """
    tensors = external_tensors(model)
    if sum(isinstance(each, TensorProto) and uses_external_data(each) for each in _messages(model)) != len(tensors):
        raise ElsewhereError("weights in another file that are no initializers of the graph")
    if not tensors:
        return None
    names = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    file = next((file for file in known if names == {file.name}), None)
    if file is None:
        named = ", ".join(f"`{name[:100]}`" for name in sorted(names)[:3])
        raise ElsewhereError(f"weights in another file, {named}, that is neither called as usual nor declared")
    _check_fill(tensors, file.stat().st_size)
    return file


def external_tensors(model: onnx.ModelProto) -> list[TensorProto]:
    """The initializers of a graph that lie in another file."""
    return [tensor for tensor in model.graph.initializer if uses_external_data(tensor)]


def _messages(message: Message) -> Iterator[Message]:
    """A message of protobuf and all that it holds, at any depth."""
    yield message
    for field, value in message.ListFields():
        if field.message_type:
            for inner in [value] if isinstance(value, Message) else value:
                yield from _messages(inner)


def _checked(file: Path, graph: Path) -> Path:
    """The `file`, which lies in the folder of `graph` and nowhere else."""
    if file.resolve().parent != graph.resolve().parent:
        raise ElsewhereError("weights in another file, a link that leads out of the graph's folder")
    require_ordinary(file)
    return file


def _check_fill(tensors: list[TensorProto], size: int) -> None:
    """Raise unless the tensors lie one after the other in a file of `size` bytes and fill it."""
    end = 0
    for start, length in sorted(map(_place, tensors)):
        if not end <= start <= end + PADDING or start + length > size:
            raise ElsewhereError(f"weights in another file that lie at {start} of {size} bytes, after {end}")
        end = start + length
    if size > end + PADDING:
        raise ElsewhereError(f"another file of {size} bytes that holds {end} bytes of weights")


def _place(tensor: TensorProto) -> tuple[int, int]:
    """Where a tensor starts in its file, and its bytes, as its shape and type have them."""
    keys = [entry.key for entry in tensor.external_data]
    if not set(keys) <= KEYS or len(set(keys)) < len(keys):
        raise ElsewhereError("weights in another file in a form that is not known")
    try:
        info = ExternalDataInfo(tensor)
        itemsize = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
    except (KeyError, TypeError, ValueError) as error:
        raise ElsewhereError("weights in another file in a form that is not known") from error
    start, length = info.offset or 0, math.prod(tensor.dims) * itemsize
    if start < 0 or min(tensor.dims, default=1) < 0 or info.length not in (None, length):
        raise ElsewhereError(f"weights in another file of {info.length} bytes where their shape has {length}")
    return start, length


def put_aside(model: onnx.ModelProto) -> list[TensorProto]:
    """Make inputs of the weights that lie in another file, so that the graph can be checked without it; return them."""
    aside = []
    for tensor in external_tensors(model):
        aside.append(TensorProto.FromString(tensor.SerializeToString()))
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    kept = [tensor for tensor in model.graph.initializer if not uses_external_data(tensor)]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return aside


def put_back(model: onnx.ModelProto, aside: list[TensorProto], prefix: str, location: str) -> None:
    """Make weights in the file `location` of inputs that `put_aside` made, now called with `prefix`."""
    for tensor in aside:
        tensor.name = prefix + tensor.name
        entry = next(each for each in tensor.external_data if each.key == "location")
        entry.value = location
    names = {tensor.name for tensor in aside}
    inputs = [each for each in model.graph.input if each.name not in names]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.graph.initializer.extend(aside)


def copy_data(source: Path, target: Path) -> None:
    """Put the weights' file where an exported graph expects it, without reading it into memory."""
    if target.exists() and target.samefile(source):
        raise EfnstError(f"Expected another --outdir: `{target}` is one of the inputs and would be overwritten.")
    target.unlink(missing_ok=True)
    shutil.copyfile(source, target)


def data_name(graph: str) -> str:
    """The name of the file that holds the weights of the graph of this name."""
    return f"{graph}.data"


def refuse_exchanged(graph: str, declared: EncoderDeclaration, found: dict[str, str]) -> None:
    """Raise an EfnstError where the files of a `graph`, `found` as SHA-256 by name, are not those declared."""
    named = (declared.external or {}) | ({graph: declared.sha256} if declared.sha256 else {})
    wrong = ", ".join(f"`{name}`" for name, digest in named.items() if found.get(name) != digest)
    if wrong:
        raise EfnstError(
            f"Expected the files of {declared.name} as they were declared, found another SHA-256 of {wrong}. It is "
            "damaged or was exchanged: export the encoder again, or correct its declaration."
        )


def gather(parts: Path, path: Path) -> None:
    """Write the graph in `parts` to `path`, with weights that lie in files beside it in a single one, byte for byte."""
    model = onnx.load(parts, load_external_data=False)
    tensors = external_tensors(model)
    if tensors:
        with path.with_name(data_name(path.name)).open("wb") as data:
            for tensor in tensors:
                data.write(bytes(-data.tell() % ALIGNED))
                _append(tensor, parts.parent, data, path.name)
    path.write_bytes(model.SerializeToString())


def _append(tensor: TensorProto, folder: Path, data: BinaryIO, graph: str) -> None:
    """Copy the weights of one tensor, which lie in `folder`, to the end of `data`."""
    info, start = ExternalDataInfo(tensor), data.tell()
    with (folder / info.location).open("rb") as part:
        part.seek(info.offset or 0)
        left = info.length or os.fstat(part.fileno()).st_size
        while left:
            data.write(part.read(min(left, BLOCK)))
            left -= min(left, BLOCK)
    place = {"location": data_name(graph), "offset": start, "length": data.tell() - start}
    del tensor.external_data[:]
    for key, value in place.items():
        tensor.external_data.add(key=key, value=str(value))
