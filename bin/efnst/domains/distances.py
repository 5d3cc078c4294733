"""How far units lie from all domains, and how far tissue that is known does."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from efnst.domains.tied_mixture import TiedGaussians, gaussians_of
from efnst.geometry.neighbours import NEAREST, neighbour_graph

LEFT_OUT = 5  # every so many runs of neighbouring units are left out to see how far known tissue lies
RUN_UNITS = 25
RINGS = 2  # of neighbours that distances are averaged over, as tissue that is new is contiguous


def distances_to(
    mixtures: Sequence[TiedGaussians], embeddings: Sequence[np.ndarray], graph: sparse.csr_array
) -> np.ndarray:
    """Logarithm of the mean squared Mahalanobis distance to the nearest component over the trainings, smoothed.

    `embeddings` [n_units, n_dims] one for each of `mixtures`, `graph` of the neighbouring units; [n_units]. With the
    logarithm tissue that is far out makes its neighbours less new.
    """
    pairs = zip(mixtures, embeddings, strict=True)
    nearest = np.mean([mixture.squared_distances(np.asarray(v, np.float64)).min(1) for mixture, v in pairs], axis=0)
    nearest = np.log(nearest)
    size = 1 + np.asarray(graph.sum(1)).ravel()
    for _ in range(RINGS):
        nearest = (nearest + graph @ nearest) / size
    return nearest


def known_distances(
    embeddings: Sequence[np.ndarray], probabilities: Sequence[np.ndarray], positions: np.ndarray
) -> np.ndarray:
    """Sorted `distances_to` mixtures, [n_units], of units that these were fitted without, and without their neighbours.

    Runs of neighbouring units are left out by turns, a fifth at a time; `probabilities` [n_units, n] are those of the
    components in each of the `embeddings`.
    """
    graph = neighbour_graph(positions, NEAREST)
    turn = np.arange(len(positions)) // RUN_UNITS % LEFT_OUT
    found = np.zeros(len(positions))
    for out in (turn == number for number in range(LEFT_OUT)):
        mixtures = [
            gaussians_of(np.asarray(values[~out], np.float64), shares[~out])
            for values, shares in zip(embeddings, probabilities, strict=True)
        ]
        found[out] = distances_to(mixtures, embeddings, graph)[out]
    return np.sort(found)
