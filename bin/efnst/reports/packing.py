"""Arrays as compressed text inside a report; assets/section_report/unpack.js reads them again."""

import base64
import gzip

import numpy as np

MISSING_LEVEL = 65_535
LEVELS = 65_534  # the highest level that stands for a number


def packed(values: np.ndarray) -> dict[str, str]:
    """An array of uint8, uint16 or int32 as `kind` and `data`, little-endian, gzip, base64."""
    kind = {"uint8": "u1", "uint16": "u2", "int32": "i4"}[values.dtype.name]
    content = gzip.compress(values.astype(f"<{kind}").tobytes(), mtime=0)
    return {"kind": kind, "data": base64.b64encode(content).decode()}


def packed_text(lines: list[str]) -> dict[str, str]:
    """Lines of text."""
    return {"kind": "text", "data": base64.b64encode(gzip.compress("\n".join(lines).encode(), mtime=0)).decode()}


def packed_levels(values: np.ndarray) -> dict:
    """Numbers as levels: a number is `least` + level x `step`, 65,535 is nan.

    Whole numbers that span no more than the levels come back exactly, others within 1/130,000 of their range.
    """
    known = values[np.isfinite(values)]
    least, most = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    whole = most - least <= LEVELS and np.array_equal(known, np.round(known))
    step = 1.0 if whole else (most - least) / LEVELS
    levels = np.round((np.where(np.isfinite(values), values, least) - least) / step)
    levels[~np.isfinite(values)] = MISSING_LEVEL
    return {"least": least, "step": step} | packed(levels.astype(np.uint16))


def packed_indices(indices: np.ndarray) -> dict[str, str]:
    """Whole numbers as the differences from one to the next, which compress well where they rise."""
    return packed(np.diff(indices.astype(np.int32).ravel(), prepend=np.int32(0)).astype(np.int32))
