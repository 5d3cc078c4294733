"""The one-to-one pairing of two divisions of the same spots."""

import numpy as np
from scipy.optimize import linear_sum_assignment


def contingency(first: np.ndarray, second: np.ndarray, shape: tuple[int, int] | None = None) -> np.ndarray:
    """How many spots are in each group of both divisions, int [n_first, n_second], of groups 0 … int [n_spots]."""
    shared = np.zeros(shape or (first.max() + 1, second.max() + 1), int)
    np.add.at(shared, (first, second), 1)
    return shared


def partners(shared: np.ndarray) -> np.ndarray:
    """The partner of each row, int [n_rows], by the spots that rows and columns share, int [n_rows, n_columns].

    Rows and columns are paired one to one, so that pairs share the most spots in all. A row for which none is left that
    it shares spots with has no partner, and a number of its own beyond those of the columns.
    """
    n_rows, n_columns = shared.shape
    padded = np.pad(shared, ((0, 0), (0, max(0, n_rows - n_columns))))
    found = linear_sum_assignment(-padded)[1]
    strange = (found < n_columns) & (padded[np.arange(n_rows), found] == 0)
    found[strange] = padded.shape[1] + np.arange(strange.sum())
    return found
