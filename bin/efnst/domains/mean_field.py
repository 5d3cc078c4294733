"""A prior for labels that prefer those of their neighbours: the mean field of a Potts model."""

from collections.abc import Callable

import numpy as np
from scipy import sparse
from scipy.special import softmax

TOLERANCE = 1e-3


def mean_field(
    evidence: Callable[[np.ndarray], np.ndarray],
    probabilities: np.ndarray,
    graph: sparse.csr_array,
    strength: float,
    iterations: int,
) -> np.ndarray:
    """Probabilities [n, n_components] with a Potts prior over `graph`, q_ik ∝ exp(e_ik + strength · Σ_j q_jk).

    `evidence` gives e [n, n_components] from the probabilities so far. Repeated until no probability changes by more
    than 0.001, at most `iterations` times.
    """
    for _ in range(iterations):
        fitted = softmax(evidence(probabilities) + strength * (graph @ probabilities), axis=1)
        change = float(np.abs(fitted - probabilities).max())
        probabilities = fitted
        if change < TOLERANCE:
            break
    return probabilities
