"""Smoothing over the spots' neighbour graph: components diffused between neighbours."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from efnst.geometry.neighbours import laplacian


def diffuse(
    values: np.ndarray, graph: sparse.csr_array, strength: float = 0.5, precision: np.ndarray | None = None
) -> np.ndarray:
    """(P + strength · L)⁻¹ · P · values, float32 [n_spots, n_columns]; L is the graph's Laplacian.

    P = diag(`precision`), the identity without one. The result y minimises
    Σ_i p_i |y_i - values_i|² + strength · Σ_(i,j) |y_i - y_j|² over the edges (i, j): a spot that is known less well
    follows its neighbours more. `precision` [n_spots] must be positive.
    """
    weight = sparse.diags_array(np.ones(graph.shape[0]) if precision is None else np.asarray(precision, np.float64))
    system = (weight + strength * laplacian(graph)).tocsc().astype(np.float64)  # symmetric and positive definite
    factors = splu(system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0, options={"SymmetricMode": True})
    return factors.solve(weight @ np.asarray(values, np.float64)).astype(np.float32)


def count_precision(totals: np.ndarray, weigh_by_counts: bool = True) -> np.ndarray:
    """How well each spot's expression is known, relative to a spot with the median `totals` [n_spots] of counts, ≤ 1.

    The variance of a spot's log-normalised counts falls with its depth, so that its precision rises with it. 1 for all
    spots without `weigh_by_counts`.
    """
    totals = np.asarray(totals, float)
    if not weigh_by_counts:
        return np.ones(len(totals))
    return np.clip(totals / max(np.median(totals), 1), 1e-3, 1)
