"""Neighbour weights from expression and morphology, and how they augment the counts (EfNST, steps 3 and 4)."""

import numpy as np
from scipy import sparse

from efnst.geometry.neighbours import pairs_within

REACH_PITCHES = 2.9  # short of the third step of a lattice, whatever its pixels are rounded to
PAIRS_AT_ONCE = 200_000


def neighbour_weights(
    positions: np.ndarray, pitch: float, expression: np.ndarray, image: np.ndarray | None, n_neighbours: int
) -> sparse.csr_array:
    """Weights [n_spots, n_spots] of each spot's `n_neighbours` heaviest candidates, rows summing to 1 (or 0).

    Candidates lie closer than 2.9 pitches; w_ij = Pearson correlation of the rows of `expression` [n_spots, n_pcs]
    times, with an image, max(0, cosine of the rows of `image` [n_spots, n_pcs]). A weight must be positive to count, so
    that a spot may have fewer neighbours than asked for, or none.
    """
    n_spots = len(positions)
    if n_neighbours == 0:
        return sparse.csr_array((n_spots, n_spots))
    pairs = pairs_within(positions, REACH_PITCHES * pitch)
    weights = pair_similarity(expression - expression.mean(1, keepdims=True), pairs)
    if image is not None:
        weights = weights * np.maximum(pair_similarity(image, pairs), 0)
    keep = _heaviest(pairs[0], weights, n_neighbours)
    graph = sparse.coo_array((weights[keep], pairs[:, keep]), (n_spots, n_spots)).tocsr()
    total = np.asarray(graph.sum(1)).ravel()
    return sparse.csr_array(sparse.diags_array(1 / np.where(total > 0, total, 1)) @ graph)


def pair_similarity(values: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Cosine of the rows of `values` [n_spots, n_columns] for each of `pairs` [2, n_pairs]; 0 for a row of zeros."""
    norm = np.linalg.norm(values, axis=1, keepdims=True)
    unit = values / np.where(norm > 0, norm, 1)
    starts = range(0, pairs.shape[1], PAIRS_AT_ONCE)
    blocks = (pairs[:, start : start + PAIRS_AT_ONCE] for start in starts)
    cosines = [np.einsum("ij,ij->i", unit[i], unit[j], dtype=np.float64) for i, j in blocks]
    return np.concatenate(cosines) if cosines else np.empty(0)


def _heaviest(rows: np.ndarray, weights: np.ndarray, n: int) -> np.ndarray:
    """Positions of the `n` largest positive weights of each row; earlier ones first on a tie."""
    order = np.lexsort((-weights, rows))
    ordered = rows[order]
    first = np.searchsorted(ordered, ordered, side="left")
    rank = np.arange(len(order)) - first
    keep = order[rank < n]
    return np.sort(keep[weights[keep] > 0])


def mixing(weights: sparse.csr_array, strength: float) -> sparse.csr_array:
    """I + strength · W, float32 [n_spots, n_spots]: what counts are multiplied by to be augmented."""
    return sparse.csr_array(sparse.eye_array(weights.shape[0]) + strength * weights, dtype=np.float32)
