"""Names that labels taught, as two files of a reference: naming.json and naming.safetensors."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from efnst.domains.naming import Head, Naming
from efnst.errors import reading
from efnst.program.tensors import Axes, read_tensors
from efnst.records.base import read_record, write_record
from efnst.records.naming import NamingRecord

RECORD, ARRAYS = "naming.json", "naming.safetensors"


def save_naming(folder: Path, naming: Naming, left_out: dict[str, dict[str, float]]) -> None:
    """Write the record and the arrays `heads.SAMPLE.weights` and `.offset`, without a sample those of all sections."""
    record = NamingRecord(
        names=naming.names,
        heads=sorted(set(naming.heads) - {""}),
        temperature=naming.temperature,
        least_probability=naming.least_probability,
        left_out=left_out,
    )
    arrays = {}
    for sample, head in naming.heads.items():
        arrays[f"heads.{sample}.weights"] = np.ascontiguousarray(head.weights)
        arrays[f"heads.{sample}.offset"] = head.offset
    save_file(arrays, folder / ARRAYS)
    write_record(folder / RECORD, record)


def load_naming(folder: Path) -> tuple[Naming, NamingRecord] | None:
    """What `save_naming` wrote, and its record; None where no labels taught anything."""
    if not (folder / RECORD).exists():
        return None
    record = read_record(folder / RECORD, NamingRecord)
    arrays = read_tensors(folder / ARRAYS)
    with reading(folder / ARRAYS):
        heads = {
            sample: Head(arrays[f"heads.{sample}.weights"], arrays[f"heads.{sample}.offset"])
            for sample in ("", *record.heads)
        }
        for sample, head in heads.items():
            axes = Axes({"names": len(record.names)})
            axes.require(f"heads.{sample}.weights", head.weights, "columns", "names")
            axes.require(f"heads.{sample}.offset", head.offset, "names")
    return Naming(record.names, heads, record.temperature), record
