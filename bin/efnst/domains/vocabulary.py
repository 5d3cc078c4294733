"""Domains that several sections share: one mixture for each training, whose components have the cohort's numbers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy import sparse
from scipy.linalg import cholesky, solve_triangular
from scipy.special import softmax

from efnst.domains.clustering import cluster
from efnst.domains.consensus import consensus, matching
from efnst.domains.number import choose_number, stability_curve
from efnst.domains.options import DomainOptions
from efnst.domains.refinement import refine
from efnst.domains.spatial_mixture import ITERATIONS, RIDGE, mean_field
from efnst.errors import EfnstError
from efnst.geometry.neighbours import neighbour_graph

FITTED_UNITS = 12_000  # of all sections together
PRIOR_NEIGHBOURS = 6
RAREST = 1e-3  # share of a section that a domain is thought to have where none of it is found
LEFT_OUT = 5  # every so many runs of neighbouring units are left out to see how far known tissue lies
RUN_UNITS = 25


@dataclass(frozen=True)
class Mixture:
    """One training's mixture: `shares` [n], `means` [n, n_dims], `root` [n_dims, n_dims] of the covariance.

    `numbers` int [n] are the domains of the cohort, from 0, that its components are; -1 for none.
    """

    shares: np.ndarray
    means: np.ndarray
    root: np.ndarray
    numbers: np.ndarray

    def squared_distances(self, values: np.ndarray) -> np.ndarray:
        """Mahalanobis distance of each unit to each component, squared, [n_units, n]."""
        white, centres = (solve_triangular(self.root, rows.T, lower=True).T for rows in (values, self.means))
        squared = (white**2).sum(1)[:, None] - 2 * white @ centres.T + (centres**2).sum(1)
        return np.maximum(squared, 0)

    def probabilities(self, values: np.ndarray, graph: sparse.csr_array, strength: float) -> np.ndarray:
        """Probability of each component, [n_units, n], with the Potts prior of `spatial_mixture`.

        Means and covariance are the cohort's, the shares of the components the section's own: a domain that it does
        not have gets none.
        """
        densities = -self.squared_distances(np.asarray(values, np.float64)) / 2

        def evidence(found: np.ndarray) -> np.ndarray:
            return densities + np.log(found.mean(0) + RAREST)

        start = softmax(densities + np.log(self.shares + RAREST), axis=1)
        return mean_field(evidence, start, graph, strength, ITERATIONS)


@dataclass(frozen=True)
class Vocabulary:
    """The domains of a cohort. `known` [n] are sorted distances of tissue that was left out (`distances`)."""

    n_domains: int
    mixtures: list[Mixture]
    known: np.ndarray
    spatial_prior: float
    how: str

    def partitions(self, embeddings: Sequence[np.ndarray], positions: np.ndarray, rounds: int) -> np.ndarray:
        """The domain that each training gives a unit, refined, int [n_trainings, n_units] from 0; -1 for none."""
        graph = neighbour_graph(positions, PRIOR_NEIGHBOURS)
        found = [
            mixture.numbers[mixture.probabilities(values, graph, self.spatial_prior).argmax(1)]
            for mixture, values in zip(self.mixtures, embeddings, strict=True)
        ]
        return np.stack([refine(labels, positions, rounds) for labels in found])

    def votes(self, partitions: np.ndarray) -> np.ndarray:
        """Share of the trainings that give a unit each domain, [n_units, n_domains]."""
        return (partitions[:, :, None] == np.arange(self.n_domains)).mean(0)

    def p_values(self, embeddings: Sequence[np.ndarray], positions: np.ndarray) -> np.ndarray:
        """How often known tissue lies as far from all domains, [n_units]: 0 to 1, small where tissue is new."""
        found = _distances(self.mixtures, embeddings, neighbour_graph(positions, PRIOR_NEIGHBOURS))
        farther = len(self.known) - np.searchsorted(self.known, found, side="left")
        return (farther + 1) / (len(self.known) + 1)


def fit_vocabulary(
    embeddings: Sequence[np.ndarray], positions: np.ndarray, options: DomainOptions
) -> tuple[Vocabulary, dict]:
    """The domains of a balanced sample of all sections, and how their number was chosen where none is given.

    `embeddings` [n_units, n_dims] one for each training; `positions` [n_units, 2] keep the sections apart.
    """
    if options.clustering != "mixture":
        message = f"Expected clustering mixture with scope cohort, found {options.clustering}."
        raise EfnstError(message)
    choice = {}
    if options.n_domains is None:
        curve = stability_curve(embeddings, positions, range(2, options.max_domains + 1), options.seed)
        choice = asdict(choose_number(curve)) | {"curve": curve.to_dict("list")}
        options = replace(options, n_domains=choice["n_domains"])
    found = [
        cluster(values, options.n_domains, "mixture", (options.seed + n) % 2**32, positions, options.spatial_prior)
        for n, values in enumerate(embeddings)
    ]
    partitions = np.stack([refine(each.labels, positions, options.refinement_rounds) for each in found])
    labels, votes = consensus(partitions)
    order = np.argsort(-np.bincount(labels, minlength=votes.shape[1]), kind="stable")[: options.n_domains]
    place = np.full(options.n_domains + 1, -1)  # the last one for components that are no domain
    place[order] = np.arange(len(order))
    mixtures = [
        _mixture(values, each.probabilities, place[_numbers(partition, labels, options.n_domains)])
        for values, each, partition in zip(embeddings, found, partitions, strict=True)
    ]
    known = _known(embeddings, [each.probabilities for each in found], positions)
    return Vocabulary(len(order), mixtures, known, options.spatial_prior, found[0].how), choice


def _mixture(values: np.ndarray, probabilities: np.ndarray, numbers: np.ndarray) -> Mixture:
    """The mixture that units have with these probabilities [n_units, n]."""
    values = np.asarray(values, np.float64)
    sizes = probabilities.sum(0) + 10 * np.finfo(float).eps
    means = probabilities.T @ values / sizes[:, None]
    covariance = (values.T @ values - (sizes * means.T) @ means) / len(values) + RIDGE * np.eye(values.shape[1])
    return Mixture(sizes / sizes.sum(), means, cholesky(covariance, lower=True), numbers)


def _numbers(partition: np.ndarray, labels: np.ndarray, n_components: int) -> np.ndarray:
    """The label of the consensus that each component of a training is, int [n_components]."""
    number = matching(partition, labels)
    return np.concatenate([number, np.full(max(n_components - len(number), 0), -1)])[:n_components].astype(int)


def _known(embeddings: Sequence[np.ndarray], probabilities: Sequence[np.ndarray], positions: np.ndarray) -> np.ndarray:
    """Sorted distances [n_units] of units to mixtures that were fitted without them and their neighbours.

    Runs of neighbouring units are left out by turns, a fifth at a time.
    """
    graph = neighbour_graph(positions, PRIOR_NEIGHBOURS)
    turn = np.arange(len(positions)) // RUN_UNITS % LEFT_OUT
    found = np.zeros(len(positions))
    for out in (turn == number for number in range(LEFT_OUT)):
        mixtures = [
            _mixture(values[~out], shares[~out], np.zeros(0, int))
            for values, shares in zip(embeddings, probabilities, strict=True)
        ]
        found[out] = _distances(mixtures, embeddings, graph)[out]
    return np.sort(found)


def _distances(mixtures: Sequence[Mixture], embeddings: Sequence[np.ndarray], graph: sparse.csr_array) -> np.ndarray:
    """Mean squared Mahalanobis distance to the nearest component over the trainings, the mean with the neighbours."""
    pairs = zip(mixtures, embeddings, strict=True)
    nearest = np.mean([mixture.squared_distances(np.asarray(v, np.float64)).min(1) for mixture, v in pairs], axis=0)
    return (nearest + graph @ nearest) / (1 + np.asarray(graph.sum(1)).ravel())
