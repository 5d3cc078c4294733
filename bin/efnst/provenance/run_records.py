"""The records that a run leaves in its output folder, read and checked: what is missing or damaged is said here.

Another version of efnst may have written more in a record, or less. So only what it has must be of its kind, and only
what is asked of it must be there.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from efnst.errors import damaged, reading
from efnst.names import PIPELINE_INFO
from efnst.program.documents import load_json, text_of
from efnst.records.base import Value
from efnst.records.cohort import RunRecord, SheetRow
from efnst.records.domains import Provenance

NEEDED = {
    *("id", "section", "nextflow", "started", "launch_dir", "parameters", "seed", "encoder.encoder"),
    *("domains", "domains.n_domains_found", "domains.n_domains_asked", "image.source", "image.width", "image.height"),
    *("inputs.role", "inputs.file", "inputs.bytes", "inputs.checksum", "inputs.method"),
    *("cohort.samples", "reference.samples", "reference.correct_by", "reference.files"),
}

_adapter = cache(TypeAdapter)  # making one takes longer than reading a record


@dataclass(frozen=True)
class RunRecords:
    """Those of the last run into a folder, {} for each that is not there.

    `rows` are the sections of its samplesheet by name, None where these are not known.
    """

    outdir: Path
    parameters: dict
    run: dict
    rows: dict[str, dict] | None


def read_run(outdir: Path) -> RunRecords:
    """The records of the last run into a folder. Raises EfnstError where one is damaged."""
    info = outdir / PIPELINE_INFO
    listed = info / "sections.json"
    rows = {row["id"]: row for row in json_of(listed, list[SheetRow])} if listed.is_file() else None
    parameters, run = json_of(info / "parameters.json", dict[str, Value]), json_of(info / "run.json", RunRecord)
    return RunRecords(outdir, parameters, run, rows)


def read_section(outdir: Path, sample: str) -> dict:
    """The record of how a section was made, {} where there is none. Raises EfnstError where it is damaged."""
    return json_of(outdir / PIPELINE_INFO / "provenance" / f"{sample}.json", Provenance)


def json_of(path: Path, kind: Any = dict) -> Any:
    """What a JSON file holds, as it stands there; {} where there is no file.

    Raises EfnstError where that is nothing of this `kind`, a record or another type.
    """
    if not path.is_file():
        return {}
    with reading(path):
        content = load_json(text_of(path.read_bytes(), path.name))  # outlines of bins are of any size
    return fitting(path, content, kind)


def fitting(path: Path, content: Any, kind: Any) -> Any:
    """The `content` of a file; raises EfnstError where that is nothing of this `kind`."""
    try:
        _adapter(kind).validate_python(content)
    except ValidationError as error:
        for field, problem in {_field(problem["loc"]): problem for problem in error.errors()}.items():
            is_missing = problem["type"] == "missing"
            if field in NEEDED if is_missing else problem["type"] != "extra_forbidden":
                said = "not there" if is_missing else problem["msg"]
                raise damaged(path, f"{field or 'its content'}: {said}") from error
    return content


def _field(place: tuple) -> str:
    """The member of a record that lies at this place, without its number in a list and the types that it may be of."""
    return ".".join(part for part in place if isinstance(part, str) and part not in ("bool", "int", "float", "str"))
