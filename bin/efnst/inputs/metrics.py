"""The figures of a sequencing run in Space Ranger's metrics_summary.csv."""

import csv
import math
import re
from pathlib import Path

from efnst.errors import reading

NUMBER = re.compile(r"-?[0-9][0-9,]*(\.[0-9]+)?([eE][+-]?[0-9]+)?(%?)")
MAX_BYTES = 1_000_000


def read_metrics(path: Path) -> dict[str, float | str]:
    """The figures by Space Ranger's own names; `1,234` becomes 1234 and `95.4%` 0.954, what is no number stays text."""
    with reading(path):
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"{path.stat().st_size} bytes are too many for one row of figures")
        names, values = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))[:2]
        return {name.strip(): _figure(value.strip()) for name, value in zip(names, values, strict=True)}


def _figure(text: str) -> float | str:
    """A number where the text is one."""
    found = NUMBER.fullmatch(text)
    if not found:
        return text
    value = float(text.replace(",", "").rstrip("%")) / (100 if found[3] else 1)
    return value if math.isfinite(value) else text
