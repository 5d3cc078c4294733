"""The figures of a sequencing run in Space Ranger's metrics_summary.csv."""

import csv
import math
import re
from pathlib import Path

from efnst.errors import damaged, reading

NUMBER = re.compile(r"-?[0-9][0-9,]*(\.[0-9]+)?([eE][+-]?[0-9]+)?(%?)")
MAX_BYTES = 1_000_000


def read_metrics(path: Path) -> dict[str, float | str]:
    """The figures by Space Ranger's own names; `1,234` becomes 1234 and `95.4%` 0.954, what is no number stays text."""
    with reading(path):
        n_bytes = path.stat().st_size
        lines = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines())) if n_bytes <= MAX_BYTES else []
    if n_bytes > MAX_BYTES:
        raise damaged(path, f"{n_bytes} bytes are too many for one row of figures")
    if len(lines) < 2 or len(lines[0]) != len(lines[1]):
        raise damaged(path, "it has no row of names above a row of as many figures")
    return {name.strip(): _figure(value.strip()) for name, value in zip(*lines[:2], strict=True)}


def _figure(text: str) -> float | str:
    """A number where the text is one."""
    found = NUMBER.fullmatch(text)
    if not found:
        return text
    value = float(text.replace(",", "").rstrip("%")) / (100 if found[3] else 1)
    return value if math.isfinite(value) else text
