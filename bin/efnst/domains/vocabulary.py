"""Domains that several sections share: a mixture for each training and view, with the cohort's numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.special import softmax

from efnst.domains.candidates import CommonViews
from efnst.domains.consensus import closest, consensus, matching
from efnst.domains.mean_field import mean_field
from efnst.domains.options import DomainOptions
from efnst.domains.partitions import choice_of_number, partitions_of
from efnst.domains.refinement import refine
from efnst.domains.spatial_mixture import ITERATIONS
from efnst.domains.tied_mixture import TiedGaussians, gaussians_of
from efnst.errors import EfnstError
from efnst.geometry.neighbours import NEAREST, neighbour_graph

FITTED_UNITS = 12_000  # of all sections together
RAREST = 1e-3  # share of a section that a domain is thought to have where none of it is found
LEFT_OUT = 5  # every so many runs of neighbouring units are left out to see how far known tissue lies
RUN_UNITS = 25
RINGS = 2  # of neighbours that distances are averaged over, as tissue that is new is contiguous


@dataclass(frozen=True)
class Mixture(TiedGaussians):
    """The mixture of one training or view.

    `numbers` int [n] are the domains of the cohort, from 0, that its components are; -1 for none.
    """

    numbers: np.ndarray

    def in_section(self, values: np.ndarray, graph: sparse.csr_array, strength: float) -> np.ndarray:
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
    """The domains of a cohort: a mixture of each of `n_trainings` and, behind these, of each of `views`.

    `shown` is the training whose partition of the cohort agrees best with the domains: its embedding is what is shown
    of every section. `known` [n] are sorted distances of tissue that was left out (`distances`).
    """

    n_domains: int
    n_trainings: int
    shown: int
    mixtures: list[Mixture]
    known: np.ndarray
    spatial_prior: float
    how: str
    views: CommonViews | None = None

    def partitions(self, embeddings: Sequence[np.ndarray], positions: np.ndarray, rounds: int) -> np.ndarray:
        """The domain that each embedding or view gives a unit, refined, int [n, n_units] from 0; -1 for none."""
        asked, given = [each.means.shape[1] for each in self.mixtures], [each.shape[1] for each in embeddings]
        if asked != given:
            raise EfnstError(
                f"Expected embeddings with {asked} columns, as the domains that sections share, found {given}: these "
                "are files of two references. Copy the whole folder again."
            )
        graph = neighbour_graph(positions, NEAREST)
        found = [
            mixture.numbers[mixture.in_section(values, graph, self.spatial_prior).argmax(1)]
            for mixture, values in zip(self.mixtures, embeddings, strict=True)
        ]
        return np.stack([refine(labels, positions, rounds) for labels in found])

    def votes(self, partitions: np.ndarray) -> np.ndarray:
        """Share of the partitions that give a unit each domain, [n_units, n_domains]."""
        return (partitions[:, :, None] == np.arange(self.n_domains)).mean(0)

    def p_values(self, embeddings: Sequence[np.ndarray], positions: np.ndarray) -> np.ndarray:
        """How often known tissue lies as far from all domains, [n_units]: 0 to 1, small where tissue is new."""
        found = _distances(self.mixtures[: self.n_trainings], embeddings, neighbour_graph(positions, NEAREST))
        farther = len(self.known) - np.searchsorted(self.known, found, side="left")
        return (farther + 1) / (len(self.known) + 1)


def fit_vocabulary(
    embeddings: Sequence[np.ndarray],
    positions: np.ndarray,
    options: DomainOptions,
    views: CommonViews | None = None,
    beside: Sequence[np.ndarray] = (),
) -> tuple[Vocabulary, dict]:
    """The domains of a balanced sample of all sections, and how their number was chosen where none is given.

    `embeddings` [n_units, n_dims] one for each training, `beside` the `views` of the same units; `positions`
    [n_units, 2] keep the sections apart.
    """
    if options.clustering != "mixture":
        message = f"Expected clustering mixture with scope cohort, found {options.clustering}."
        raise EfnstError(message)
    choice = {}
    if options.n_domains is None:
        choice = choice_of_number(embeddings, positions, options)
        options = replace(options, n_domains=choice["n_domains"])
    seen = [*embeddings, *beside]
    partitions, found = partitions_of(seen, positions, options)
    labels, votes = consensus(partitions)
    order = np.argsort(-np.bincount(labels, minlength=votes.shape[1]), kind="stable")[: options.n_domains]
    place = np.full(options.n_domains + 1, -1)  # the last one for components that are no domain
    place[order] = np.arange(len(order))
    mixtures = [
        _mixture(values, each.probabilities, place[_numbers(partition, labels, options.n_domains)])
        for values, each, partition in zip(seen, found, partitions, strict=True)
    ]
    vocabulary = Vocabulary(
        n_domains=len(order),
        n_trainings=len(embeddings),
        shown=closest(partitions[: len(embeddings)], labels),
        mixtures=mixtures,
        known=_known(embeddings, [each.probabilities for each in found[: len(embeddings)]], positions),
        spatial_prior=options.spatial_prior,
        how=found[0].how,
        views=views,
    )
    return vocabulary, choice


def _mixture(values: np.ndarray, probabilities: np.ndarray, numbers: np.ndarray) -> Mixture:
    """The mixture that units have with these probabilities [n_units, n]."""
    found = gaussians_of(np.asarray(values, np.float64), probabilities)
    return Mixture(found.shares, found.means, found.root, numbers)


def _numbers(partition: np.ndarray, labels: np.ndarray, n_components: int) -> np.ndarray:
    """The label of the consensus that each component of a training is, int [n_components]."""
    number = matching(partition, labels)
    return np.concatenate([number, np.full(max(n_components - len(number), 0), -1)])[:n_components].astype(int)


def _known(embeddings: Sequence[np.ndarray], probabilities: Sequence[np.ndarray], positions: np.ndarray) -> np.ndarray:
    """Sorted distances [n_units] of units to mixtures that were fitted without them and their neighbours.

    Runs of neighbouring units are left out by turns, a fifth at a time.
    """
    graph = neighbour_graph(positions, NEAREST)
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
    """Logarithm of the mean squared Mahalanobis distance to the nearest component over the trainings, smoothed.

    With the logarithm tissue that is far out makes its neighbours less new.
    """
    pairs = zip(mixtures, embeddings, strict=True)
    nearest = np.mean([mixture.squared_distances(np.asarray(v, np.float64)).min(1) for mixture, v in pairs], axis=0)
    nearest = np.log(nearest)
    size = 1 + np.asarray(graph.sum(1)).ravel()
    for _ in range(RINGS):
        nearest = (nearest + graph @ nearest) / size
    return nearest
