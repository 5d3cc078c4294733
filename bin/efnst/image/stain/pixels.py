"""Pixels of 8 bits: how many a statistic needs, and their look-up in tables."""

from collections.abc import Callable

import numpy as np

MIN_SAMPLE_PX = 1000  # of tissue; fewer say nothing of a section
Normaliser = Callable[[np.ndarray], np.ndarray]


def looked_up(tables: np.ndarray, pixels: np.ndarray, join: np.ufunc) -> np.ndarray:
    """The rows of `tables` float32 [3, 256, 3] for the red, green and blue of uint8 pixels [..., 3], joined: [n, 3]."""
    red, green, blue = pixels.reshape(-1, 3).T
    rows = tables[0].take(red, axis=0)
    for table, channel in zip(tables[1:], (green, blue), strict=True):
        join(rows, table.take(channel, axis=0), out=rows)
    return rows
