"""Components of several sections brought together: Harmony, kept as centroids and shifts that map further sections."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from harmonypy import run_harmony
from scipy.special import softmax

from efnst.embedding.options import NO_BATCH

SIGMA = 0.1  # width of Harmony's soft clusters
DIVERSITY = 2.0  # Harmony's θ: how much a cluster prefers batches that it lacks
ROUNDS = 10  # of assigning units to clusters and moving them
UNITS_PER_CLUSTER, MOST_CLUSTERS = 30, 100


@dataclass(frozen=True)
class Correction:
    """What Harmony found, in Symphony's form (Kang et al. 2021): all that is needed to map further units.

    `centroids` float [n_clusters, n_dims] have length 1; `means` [n_clusters, n_dims] are those of the corrected units
    of each cluster, `sizes` [n_clusters] their share of all. Of each of `batches`, `shifts`
    [n_batches, n_clusters, n_dims] are what its units are off by, `favour` [n_batches, n_clusters] what Harmony's
    preference for clusters that lack a batch multiplies its probabilities by.
    """

    batches: tuple[str, ...]
    centroids: np.ndarray
    means: np.ndarray
    sizes: np.ndarray
    shifts: np.ndarray
    favour: np.ndarray

    def of(self, values: np.ndarray, batch: str) -> np.ndarray:
        """Corrected `values` float32 [n_units, n_dims] of one batch; one that is not known is shifted as a whole."""
        values = np.asarray(values, np.float64)
        if batch not in self.batches:
            return (values - self._shift_of_new(values)).astype(np.float32)
        number = self.batches.index(batch)
        shifts, favour = self.shifts[number], self.favour[number]
        moved = values - self.sizes @ shifts
        for _ in range(ROUNDS):
            moved = values - self._members(moved, favour) @ shifts
        return moved.astype(np.float32)

    def _members(self, values: np.ndarray, favour: np.ndarray) -> np.ndarray:
        """Probability of each cluster, [n_units, n_clusters]."""
        unit = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
        return softmax(2 * (unit @ self.centroids.T - 1) / SIGMA + np.log(favour), axis=1)

    def _shift_of_new(self, values: np.ndarray) -> np.ndarray:
        """What a batch that was not there is off by, [n_dims]: the median over its units of what takes them home.

        One shift for all units: with one for each cluster, tissue that the others do not have would be moved onto
        tissue that they have.
        """
        shift = np.zeros(values.shape[1])
        for _ in range(ROUNDS):
            members = self._members(values - shift, np.ones(len(self.centroids)))
            shift = np.median(values - members @ self.means, axis=0)
        return shift


def corrected(values: np.ndarray, batches: np.ndarray, correction: Correction | None) -> np.ndarray:
    """`values` float32 [n_units, n_dims] of several `batches` text [n_units]; as they are without a `correction`."""
    if correction is None:
        return values
    found = np.empty_like(values)
    for name in np.unique(batches):
        rows = batches == name
        found[rows] = correction.of(values[rows], str(name))
    return found


def fit_correction(values: np.ndarray, batches: np.ndarray, seed: int) -> Correction | None:
    """Harmony of `values` [n_units, n_dims] over `batches` text [n_units]; None where nothing is to be taken out.

    One batch by itself is off by nothing; its clusters are where further ones are shifted to.
    """
    names = np.unique(batches)
    if set(names) == {NO_BATCH}:
        return None
    n_clusters = max(2, min(round(len(values) / UNITS_PER_CLUSTER), MOST_CLUSTERS))
    found = run_harmony(
        *(np.asarray(values, np.float64), pd.DataFrame({"batch": batches}), "batch"),
        **{"theta": DIVERSITY, "sigma": SIGMA, "nclust": n_clusters},
        **{"random_state": seed % 2**31, "ncores": 1, "verbose": False},
    )
    members, centroids = np.asarray(found.R, np.float64), np.asarray(found.Y, np.float64).T
    corrected = np.asarray(found.Z_corr if len(names) > 1 else values, np.float64)
    mass = members.sum(0)
    pairs = [_of_batch(members, values - corrected, batches == name) for name in names]
    return Correction(
        batches=tuple(str(name) for name in names),
        centroids=centroids / np.linalg.norm(centroids, axis=1, keepdims=True),
        means=members.T @ corrected / np.maximum(mass, 1e-12)[:, None],
        sizes=mass / mass.sum(),
        shifts=np.stack([shift for shift, _ in pairs]),
        favour=np.stack([favour for _, favour in pairs]),
    )


def _of_batch(members: np.ndarray, moved: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shifts [n_clusters, n_dims] that explain what Harmony `moved` the units by, and its preference [n_clusters].

    A cluster without units of the batch moves them by what the batch is off by in the mean.
    """
    own = members[rows]
    mean = moved[rows].mean(0)
    gram = own.T @ own + 1e-3 * np.eye(own.shape[1])
    shifts = mean + np.linalg.solve(gram, own.T @ (moved[rows] - mean))
    expected, observed = members.sum(0) * rows.mean(), own.sum(0)
    return shifts, ((expected + 1) / (observed + 1)) ** DIVERSITY
