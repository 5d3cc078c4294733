"""A Gaussian mixture whose components prefer to be those of neighbouring spots (a hidden Markov random field)."""

import numpy as np
from scipy import sparse

from efnst.domains.mean_field import mean_field
from efnst.domains.tied_mixture import gaussians_of

ITERATIONS = 100


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
    moments = values.T @ values / len(values)

    def evidence(found: np.ndarray) -> np.ndarray:
        return gaussians_of(values, found, moments).log_odds(values)

    return mean_field(evidence, probabilities, graph, strength, ITERATIONS)
