"""Spatial continuity of domains, without labels: CHAOS and PAS (Shang and Zhou, Nature Communications 2022)."""

import numpy as np
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
