"""Spatial continuity of labels: CHAOS and PAS (Shang and Zhou, Nature Communications 2022), shares of neighbours."""

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from efnst.geometry.neighbours import nearest_neighbours

PAS_NEIGHBOURS = 10


def chaos(domains: np.ndarray, positions: np.ndarray) -> float:
    """Mean distance of a spot to the nearest spot of its domain; lower is smoother.

    Each axis of `positions` [n_spots, 2] is scaled to mean 0 and standard deviation 1 first, as in SpatialPCA. A
    domain of one spot counts as distance 0.
    """
    scaled = (positions - positions.mean(0)) / np.maximum(positions.std(0, ddof=1), 1e-12)
    total = 0.0
    for domain in np.unique(domains):
        members = scaled[domains == domain]
        if len(members) > 1:
            total += cKDTree(members).query(members, 2)[0][:, 1].sum()
    return float(total / len(domains))


def pas(domains: np.ndarray, positions: np.ndarray) -> float:
    """Fraction of spots with more than half of their 10 nearest spots in other domains; lower is smoother.

    In a section of fewer than 11 spots, more than half of all other spots.
    """
    neighbours = nearest_neighbours(positions, PAS_NEIGHBOURS)
    different = (domains[neighbours] != domains[:, None]).sum(1)
    return float((different > neighbours.shape[1] / 2).mean())


def own_neighbours(labels: np.ndarray, graph: sparse.csr_array) -> np.ndarray:
    """Of the spots with each of the `labels` int [n_spots], 0 …, the share of neighbours that have it too, [n_labels].

    `graph` is the 0/1 graph of neighbouring spots. 1 for a label that no spot has, or none with neighbours.
    """
    first, second = labels[np.repeat(np.arange(len(labels)), np.diff(graph.indptr))], labels[graph.indices]
    n_neighbours = np.bincount(first, minlength=labels.max() + 1)
    own = np.bincount(first[first == second], minlength=len(n_neighbours))
    return np.where(n_neighbours > 0, own / np.maximum(n_neighbours, 1), 1)
