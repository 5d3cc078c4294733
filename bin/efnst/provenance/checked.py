"""Whether the files that a result was made from are still what they were."""

from collections.abc import Callable
from pathlib import Path

from efnst.encoder.cache import sha256
from efnst.errors import reading
from efnst.inputs.checksums import any_checksum
from efnst.provenance.origin import Origin, from_anywhere
from efnst.provenance.run_records import json_of
from efnst.records.encoder import EncoderDeclaration

UNCHANGED, CHANGED, NOT_FOUND = "unchanged", "CHANGED", "NOT FOUND"
NO_FOLDER = "not looked for: the record does not say in which folder"
COLUMNS = {"section": "section", "full-resolution image": "image", "labels": "labels"}  # by role; others lie in section


def input_state(origin: Origin, row: dict) -> str:
    """Whether an input file of a section (`row` of its record) is still what it was, in words."""
    column = COLUMNS.get(row["role"])
    given = origin.row.get(column or "section")
    if not given:
        return NO_FOLDER
    return _state(given if column else f"{given}/{row['file']}", row["checksum"], _checksum)


def reference_state(origin: Origin, name: str, checksum: str) -> str:
    """Whether a file of the reference that a section was brought into is still what it was, in words."""
    folder = origin.parameters.get("reference")
    return _state(f"{from_anywhere(origin, folder)}/{name}", checksum, sha256) if folder else NO_FOLDER


def weights_state(origin: Origin, used: dict) -> str:
    """Whether the file of weights that the user gave for the encoder (`used`, of the record) is still what it was.

    Empty for weights that a package brings. With those of a file beside it, where an encoder of one's own has such.
    """
    given = origin.parameters.get("encoder_onnx") or origin.parameters.get("encoder_weights") or ""
    if Path(given).name != used["weights_file"]:
        return NO_FOLDER if Path(used["weights_file"]).suffix else ""
    path = from_anywhere(origin, given)
    state = _state(path, used["weights_sha256"], sha256)
    if state == UNCHANGED and "weights_data_sha256" in used:
        states = {_state(str(file), used["weights_data_sha256"], sha256) for file in _beside(Path(path))}
        return UNCHANGED if UNCHANGED in states else CHANGED if states else NOT_FOUND
    return state


def _beside(encoder: Path) -> list[Path]:
    """The files beside an encoder of one's own that may hold its weights; none where one that is declared lacks."""
    from efnst.encoder.external import ElsewhereError, data_files

    declared = json_of(encoder.with_suffix(".json"), EncoderDeclaration).get("external")
    try:
        return data_files(encoder, list(declared or {}))
    except ElsewhereError:
        return []


def _checksum(path: Path) -> str:
    """The checksum of an input, as its record has it."""
    return any_checksum(path)["checksum"]


def _state(place: str, checksum: str, digest: Callable[[Path], str]) -> str:
    """Whether what lies at a place has this checksum, in words."""
    if "://" in place:
        return "not looked for: it was given by an address"
    path = Path(place)
    if not path.exists():
        return NOT_FOUND
    with reading(path):
        return UNCHANGED if digest(path) == checksum else CHANGED
