"""A Gaussian mixture with one covariance for all components (mclust's EEE): what it says of units, and its fit."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, solve_triangular
from scipy.linalg.lapack import dpotrf, dpotrs
from sklearn import config_context
from sklearn.cluster import KMeans

RIDGE = 1e-6
ITERATIONS = 100
TOLERANCE = 1e-3  # nats a unit


@dataclass(frozen=True)
class TiedGaussians:
    """`shares` [n] of the components, their `means` [n, n_dims], `root` [n_dims, n_dims] of the covariance, lower."""

    shares: np.ndarray
    means: np.ndarray
    root: np.ndarray

    def whitened(self, values: np.ndarray) -> np.ndarray:
        """`values` float64 [n_units, n_dims] in columns whose common covariance is the identity."""
        return solve_triangular(self.root, values.T, lower=True).T

    def squared_distances(self, values: np.ndarray) -> np.ndarray:
        """Mahalanobis distances of `values` float64 [n_units, n_dims] to the components, squared, [n_units, n]."""
        white, centres = self.whitened(values), self.whitened(self.means)
        squared = (white**2).sum(1)[:, None] - 2 * white @ centres.T + (centres**2).sum(1)
        return np.maximum(squared, 0)

    def log_odds(self, values: np.ndarray) -> np.ndarray:
        """log π_k N(x; μ_k, Σ) [n_units, n] but for what is the same for all components of a unit."""
        return self._log_odds(values).T

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        """Of each component, [n_units, n]."""
        return _normalised(self._log_odds(values))[0].T

    def mean_log_likelihood(self, values: np.ndarray) -> float:
        """log Σ_k π_k N(x; μ_k, Σ) of `values`, mean over the units."""
        return self._mean_log_likelihood(_normalised(self._log_odds(values))[1], values.T @ values / len(values))

    def _log_odds(self, values: np.ndarray) -> np.ndarray:
        """`log_odds` the other way round, [n, n_units]: sums over components are then sums of rows."""
        slopes = dpotrs(self.root, self.means.T, lower=1)[0].T
        with np.errstate(divide="ignore"):  # a component without any unit
            start = np.log(self.shares) - (slopes * self.means).sum(1) / 2
        return slopes @ values.T + start[:, None]

    def _mean_log_likelihood(self, log_sums: np.ndarray, moments: np.ndarray) -> float:
        """From log Σ_k exp of the log odds [n_units] and the mean of x xᵀ [n_dims, n_dims]."""
        constant = len(self.root) * np.log(2 * np.pi) / 2 + np.log(self.root.diagonal()).sum()
        return float(log_sums.mean() - np.trace(dpotrs(self.root, moments, lower=1)[0]) / 2 - constant)


def gaussians_of(values: np.ndarray, probabilities: np.ndarray, moments: np.ndarray | None = None) -> TiedGaussians:
    """The mixture of units `values` float64 [n_units, n_dims] that are in components by `probabilities` [n_units, n].

    `moments` [n_dims, n_dims] is the mean of x xᵀ, where it is known.
    """
    n_units, n_dims = values.shape
    moments = values.T @ values / n_units if moments is None else moments
    sizes = probabilities.sum(0) + 10 * np.finfo(float).eps
    means = probabilities.T @ values / sizes[:, None]
    covariance = moments - (sizes * means.T) @ means / n_units + RIDGE * np.eye(n_dims)
    root, failed = dpotrf(covariance, lower=1)
    if failed:
        raise LinAlgError(f"Expected a positive definite covariance, found one that is not, in minor {failed}.")
    return TiedGaussians(sizes / sizes.sum(), means, root)


def fit_gaussians(values: np.ndarray, n_components: int, n_starts: int, seed: int) -> TiedGaussians:
    """The likeliest of mixtures fitted by EM to `values` float64 [n_units, n_dims] from `n_starts` runs of k-means.

    What scikit-learn's GaussianMixture(covariance_type="tied") finds, in a fifth of the time: it forms the distances of
    all units to each component in turn, where here they are one matrix product (tests/unit/domains compares the two).
    """
    random = np.random.RandomState(seed)
    fits = [expectation_maximisation(values, _of_k_means(values, n_components, random)) for _ in range(n_starts)]
    return max(fits, key=lambda fit: fit[1])[0]


def _of_k_means(values: np.ndarray, n_components: int, random: np.random.RandomState) -> np.ndarray:
    """0/1 [n_units, n_components]: the clusters of one run of k-means."""
    with config_context(assume_finite=True, skip_parameter_validation=True):
        return np.eye(n_components)[KMeans(n_components, n_init=1, random_state=random).fit(values).labels_]


def expectation_maximisation(values: np.ndarray, probabilities: np.ndarray) -> tuple[TiedGaussians, float]:
    """The fit that EM comes to, and its mean log-likelihood before the last step."""
    moments = values.T @ values / len(values)
    found, likelihood = gaussians_of(values, probabilities, moments), -np.inf
    for _ in range(ITERATIONS):
        shares, log_sums = _normalised(found._log_odds(values))
        before, likelihood = likelihood, found._mean_log_likelihood(log_sums, moments)
        found = gaussians_of(values, shares.T, moments)
        if abs(likelihood - before) < TOLERANCE:
            break
    return found, likelihood


def _normalised(log_odds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [n, n_units] of log odds, and the logarithm of the sum of the odds [n_units]."""
    largest = log_odds.max(0)
    odds = np.exp(log_odds - largest)
    total = odds.sum(0)
    return odds / total, largest + np.log(total)
