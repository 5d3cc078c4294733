"""Refinement: a spot takes its neighbours' label when few of them share its own."""

import numpy as np

from efnst.geometry.neighbours import NEAREST, nearest_neighbours


def refine(domains: np.ndarray, positions: np.ndarray, rounds: int, k: int = NEAREST) -> np.ndarray:
    """Domains int [n_spots] after `rounds` of majority vote.

    In a round, a spot whose label fewer than half of its `k` nearest spots share takes the commonest label among them
    (the smallest one on a tie). All spots change at once. Stops early when nothing changes.
    """
    neighbours = nearest_neighbours(positions, k)
    domains = np.asarray(domains).copy()
    if neighbours.shape[1] == 0:
        return domains
    for _ in range(rounds):
        refined = _vote(domains, domains[neighbours])
        if np.array_equal(refined, domains):
            break
        domains = refined
    return domains


def _vote(own: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Labels after one round; `around` [n_spots, k] are the neighbours' labels."""
    votes = np.stack([(around == label).sum(1) for label in np.unique(own)], axis=1)
    winner = np.unique(own)[votes.argmax(1)]
    shared = (around == own[:, None]).sum(1)
    return np.where(shared < around.shape[1] / 2, winner, own)
