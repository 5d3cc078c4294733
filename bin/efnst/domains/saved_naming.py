"""Names that labels taught, as two files of a reference: naming.json and naming.safetensors."""

from pathlib import Path

import numpy as np

from efnst.domains.naming import Head, Naming
from efnst.errors import reading
from efnst.program.tensors import Axes, read_tensors, write_tensors
from efnst.records.base import read_record, write_record
from efnst.records.naming import NamingRecord

RECORD, ARRAYS = "naming.json", "naming.safetensors"
AXES = {"sizes": ("names",), "means": ("names", "columns"), "covariance": ("columns", "columns")}  # of a head


def save_naming(folder: Path, naming: Naming, left_out: dict[str, dict[str, float]], weigh_by_counts: bool) -> None:
    """Write the record and the arrays of each head, `heads.SAMPLE.sizes` …, without a sample those of all sections.

    `weigh_by_counts` as given to `taught_values`, whose values the names of further sections have to be read from.
    """
    record = NamingRecord(
        names=naming.names,
        heads=sorted(set(naming.heads) - {""}),
        temperature=naming.temperature,
        calibrated=naming.calibrated,
        weigh_by_counts=weigh_by_counts,
        least_probability=naming.least_probability,
        left_out=left_out,
    )
    arrays = {}
    for sample, head in naming.heads.items():
        arrays |= {f"heads.{sample}.{part}": getattr(head, part) for part in AXES}
    write_tensors(folder / ARRAYS, arrays)
    write_record(folder / RECORD, record)


def load_naming(folder: Path) -> tuple[Naming, NamingRecord] | None:
    """What `save_naming` wrote, and its record; None where no labels taught anything."""
    if not (folder / RECORD).exists():
        return None
    record = read_record(folder / RECORD, NamingRecord)
    arrays = read_tensors(folder / ARRAYS)
    with reading(folder / ARRAYS):
        heads = {
            sample: Head(**{part: arrays[f"heads.{sample}.{part}"] for part in AXES}) for sample in ("", *record.heads)
        }
        for sample, head in heads.items():
            _require_fitting(f"heads.{sample}", head, len(record.names))
    return Naming(record.names, heads, record.temperature, record.calibrated), record


def _require_fitting(name: str, head: Head, n_names: int) -> None:
    """Raise ValueError unless the arrays of a head fit together and can be those of labelled units."""
    axes = Axes({"names": n_names})
    for part, names in AXES.items():
        axes.require(f"{name}.{part}", getattr(head, part), *names)
    spread = head.covariance
    if (head.sizes < 0).any() or not np.allclose(spread, spread.T):
        raise ValueError(f"{name} has negative sizes, or its covariance is not symmetric")
    if spread.size and np.linalg.eigvalsh(spread)[0] < -1e-6 * np.trace(spread):
        raise ValueError(f"{name}.covariance is none")
