"""Positions of spots on grids."""

import numpy as np


def hexagonal(n_rows: int, n_columns: int, pitch: float = 1.0) -> np.ndarray:
    """x and y, float [n, 2], of a Visium grid."""
    row, column = np.indices((n_rows, n_columns)).reshape(2, -1)
    return np.column_stack([column + 0.5 * (row % 2), row * np.sqrt(3) / 2]) * pitch


def square(n_rows: int, n_columns: int, pitch: float = 1.0) -> np.ndarray:
    """x and y, float [n, 2], of a grid of legacy spots or of bins."""
    row, column = np.indices((n_rows, n_columns)).reshape(2, -1)
    return np.column_stack([column, row]) * float(pitch)
