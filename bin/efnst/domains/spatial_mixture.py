"""A Gaussian mixture whose components prefer to be those of neighbouring spots (a hidden Markov random field)."""

from collections.abc import Callable

import numpy as np
from scipy import sparse
from scipy.linalg import cholesky, solve_triangular
from scipy.special import softmax

ITERATIONS = 100
TOLERANCE = 1e-3
RIDGE = 1e-6


def spatial_probabilities(
    values: np.ndarray, probabilities: np.ndarray, graph: sparse.csr_array, strength: float
) -> np.ndarray:
    """Probabilities [n_spots, n_components] of a mixture with one covariance and a Potts prior, from those without it.

    `values` [n_spots, n_dims] were clustered with `probabilities`; `graph` is the symmetric 0/1 graph of neighbouring
    spots. Each neighbour that is in a component for certain multiplies the spot's odds of it by exp(`strength`): the
    mean-field EM for a hidden Markov random field (Zhang, Brady and Smith 2001; Celeux, Forbes and Peyrard 2003):
    q_ik ∝ π_k N(x_i; μ_k, Σ) exp(strength · Σ_j q_jk) over the neighbours j of i, then π, μ and Σ from q, until no
    probability changes by more than 0.001, at most 100 times.
    """
    return mean_field(lambda found: _log_densities(values, found), probabilities, graph, strength, ITERATIONS)


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


def _log_densities(values: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """log π_k N(x_i; μ_k, Σ) but for a constant, [n_spots, n_components], π, μ and Σ being those of `probabilities`."""
    n_spots, n_dims = values.shape
    sizes = probabilities.sum(0) + 10 * np.finfo(float).eps
    means = probabilities.T @ values / sizes[:, None]
    covariance = (values.T @ values - (sizes * means.T) @ means) / n_spots + RIDGE * np.eye(n_dims)
    root = cholesky(covariance, lower=True)
    white, centres = (solve_triangular(root, rows.T, lower=True).T for rows in (values, means))
    squared = (white**2).sum(1)[:, None] - 2 * white @ centres.T + (centres**2).sum(1)
    return np.log(sizes / n_spots) - squared / 2
