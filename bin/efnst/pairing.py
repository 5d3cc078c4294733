"""The one-to-one pairing of two divisions of the same spots."""

import numpy as np
from scipy.optimize import linear_sum_assignment


def shared_spots(first: np.ndarray, second: np.ndarray, shape: tuple[int, int] | None = None) -> np.ndarray:
    """How many spots are in each group of both divisions, int [n_first, n_second], of groups 0 … int [n_spots]."""
    shared = np.zeros(shape or (first.max() + 1, second.max() + 1), int)
    np.add.at(shared, (first, second), 1)
    return shared


def partners(shared: np.ndarray) -> np.ndarray:
    """The partner of each row, int [n_rows], by the spots that rows and columns share, int [n_rows, n_columns].

    Rows and columns are paired one to one, so that pairs share the most spots in all. A row for which none is left that
    it shares spots with has no partner, and a number beyond those of the columns, by its place among such rows.
    """
    found = np.full(len(shared), -1)
    rows, columns = linear_sum_assignment(-shared)
    found[rows] = np.where(shared[rows, columns] > 0, columns, -1)
    alone = found < 0
    found[alone] = shared.shape[1] + np.arange(alone.sum())
    return found
