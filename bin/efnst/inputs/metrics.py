"""The figures of a sequencing run in Space Ranger's metrics_summary.csv."""

import csv
import math
import re
from pathlib import Path

from efnst.errors import EfnstError, damaged, reading
from efnst.inputs.above_table import above_table

NUMBER = re.compile(r"-?[0-9][0-9,]*(\.[0-9]+)?([eE][+-]?[0-9]+)?(%?)")
MAX_BYTES = 1_000_000


def metrics_of(path: Path | None) -> tuple[dict[str, float | str] | None, list[str]]:
    """The figures, None without a file or where it cannot be read, and a warning then: no step needs them."""
    if path is None:
        return None, []
    try:
        return read_metrics(path), []
    except EfnstError as error:
        return None, [f"The figures of {path.name} were left out. {error}"]


def read_metrics(path: Path) -> dict[str, float | str]:
    """The figures by Space Ranger's own names; `1,234` becomes 1234 and `95.4%` 0.954, what is no number stays text.

    Where semicolons stand between them, as spreadsheets write them, a comma is that of a decimal.
    """
    with reading(path):
        n_bytes = path.stat().st_size
        text = path.read_text(encoding="utf-8-sig").splitlines() if n_bytes <= MAX_BYTES else []
        above, named = above_table(text)
        separator = named or max(",;", key="".join(text[above : above + 1]).count)
        lines = list(csv.reader(text[above:], delimiter=separator))
    if n_bytes > MAX_BYTES:
        raise damaged(path, f"{n_bytes} bytes are too many for one row of figures")
    if len(lines) < 2 or len(lines[0]) != len(lines[1]):
        raise damaged(path, "it has no row of names above a row of as many figures")
    decimal = "," if separator == ";" else "."
    return {name.strip(): _figure(value.strip(), decimal) for name, value in zip(*lines[:2], strict=True)}


def _figure(text: str, decimal: str) -> float | str:
    """A number where the text is one."""
    number = text.replace(",", ".") if decimal == "," else text
    found = NUMBER.fullmatch(number)
    if not found:
        return text
    value = float(number.replace(",", "").rstrip("%")) / (100 if found[3] else 1)
    return value if math.isfinite(value) else text
