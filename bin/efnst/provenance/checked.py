"""Whether the files that a result was made from are still what they were."""

from collections.abc import Callable
from pathlib import Path

from efnst.encoder.cache import sha256
from efnst.errors import reading
from efnst.inputs.checksums import any_checksum
from efnst.provenance.origin import Origin, from_anywhere
from efnst.provenance.run_records import json_of

NO_FOLDER = "not looked for: the record does not say in which folder"


def input_state(origin: Origin, row: dict) -> str:
    """Whether an input file of a section (`row` of its record) is still what it was, in words."""
    if not origin.row:
        return NO_FOLDER
    given = {name: origin.row[name] for name in ("section", "image", "labels") if origin.row.get(name)}
    alone = [path for path in given.values() if Path(path).name == row["file"]]
    places = [f"{given['section']}/{row['file']}", *alone]
    return _state(places, row["checksum"], lambda path: any_checksum(path)["checksum"])


def reference_state(origin: Origin, name: str, checksum: str) -> str:
    """Whether a file of the reference that a section was brought into is still what it was, in words."""
    folder = origin.parameters.get("reference")
    return _state([f"{from_anywhere(origin, folder)}/{name}"], checksum, sha256) if folder else NO_FOLDER


def weights_state(origin: Origin, used: dict) -> str:
    """Whether the file of weights that the user gave for the encoder (`used`, of the record) is still what it was.

    Empty for weights that a package brings. With those of a file beside it, where an encoder of one's own has such.
    """
    given = origin.parameters.get("encoder_onnx") or origin.parameters.get("encoder_weights") or ""
    if Path(given).name != used["weights_file"]:
        return NO_FOLDER if Path(used["weights_file"]).suffix else ""
    path = from_anywhere(origin, given)
    state = _state([path], used["weights_sha256"], sha256)
    if state == "unchanged" and "weights_data_sha256" in used:
        return _state(_data_files(Path(path)), used["weights_data_sha256"], sha256)
    return state


def _data_files(encoder: Path) -> list[str]:
    """The files that may hold the weights of an encoder of one's own beside it."""
    from efnst.encoder.external import ENDINGS

    declared = json_of(encoder.with_suffix(".json")).get("external")
    return [str(encoder.parent / name) for name in declared or [encoder.name + ending for ending in ENDINGS]]


def _state(places: list[str], checksum: str, digest: Callable[[Path], str]) -> str:
    """Whether what lies at the first of these places where there is anything has this checksum, in words."""
    if any("://" in place for place in places):
        return "not looked for: it was given by an address"
    path = next((Path(place) for place in places if Path(place).exists()), None)
    if path is None:
        return "NOT FOUND"
    with reading(path):
        return "unchanged" if digest(path) == checksum else "CHANGED"
