"""Folders that `spaceranger aggr` writes: several sections in one matrix, whose barcodes end in their numbers."""

import csv
from dataclasses import dataclass
from pathlib import Path

from efnst.errors import EfnstError, reading
from efnst.inputs.above_table import above_table

POSITIONS = "aggr_tissue_positions.csv"
ORDER = "aggregation.csv"  # row k names the section whose barcodes end in -k
LIBRARY = "library_id"
MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class Part:
    """One section: where its positions are among those of others, its scale factors and images, its barcodes' end."""

    positions: Path
    spatial: Path
    suffix: str


def is_aggregated(outs: Path) -> bool:
    """Whether `outs` is a folder of several sections."""
    return _positions(outs).is_file() or (outs / ORDER).is_file()


def libraries(outs: Path) -> list[str]:
    """The sections by name, in the order of their numbers; empty where no file tells."""
    path = outs / ORDER
    if not path.is_file():
        return []
    with reading(path):
        n_bytes = path.stat().st_size
        lines = path.read_text(encoding="utf-8-sig").splitlines() if n_bytes <= MAX_BYTES else []
        above, named = above_table(lines)
        rows = list(csv.DictReader(lines[above:], delimiter=named or ","))
    names = [row.get(LIBRARY) or row.get("sample_id") or "" for row in rows]
    if not all(names):
        found = ", ".join(map(str, rows[0])) if rows else f"{n_bytes} bytes"
        raise EfnstError(
            f"Expected a name for each section in the column {LIBRARY} of {path.name}, found {found[:80]}: copy it "
            "from the Space Ranger run."
        )
    return names


def part_of(outs: Path, library: str) -> Part:
    """The section `library` of the folder `outs`, by its name or, where no file tells those, by its number."""
    names = libraries(outs)
    if not names and library.isascii() and library.isdigit():
        return Part(_positions(outs), outs / "spatial", f"-{int(library)}")
    if library not in names:
        found = (
            f"{', '.join(names[:8])} in {ORDER}" if names else f"no {ORDER}; the number behind their barcodes will do"
        )
        told = f"found {found}" if library else f"found several, which spaceranger aggr wrote ({found})"
        raise EfnstError(
            f"Expected one section in {outs}, {told}: give each a row, with its name in the column library, or the "
            "outs folder that it came from."
        )
    return Part(_positions(outs), outs / "spatial" / library, f"-{names.index(library) + 1}")


def _positions(outs: Path) -> Path:
    """The positions of all sections."""
    beside = outs / POSITIONS
    return beside if beside.is_file() else outs / "spatial" / POSITIONS
