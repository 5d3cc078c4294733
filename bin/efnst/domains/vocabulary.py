"""Domains that several sections share: a mixture for each training and view, with the cohort's numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.special import softmax

from efnst.domains.candidates import CommonViews
from efnst.domains.consensus import closest, consensus
from efnst.domains.distances import distances_to, known_distances
from efnst.domains.mean_field import mean_field
from efnst.domains.options import DomainOptions
from efnst.domains.own_tissue import labels_of_others, own_tissue, with_own_tissue
from efnst.domains.partitions import choice_of_number, partitions_of
from efnst.domains.refinement import refine
from efnst.domains.spatial_mixture import ITERATIONS
from efnst.domains.tied_mixture import TiedGaussians, gaussians_of
from efnst.embedding.sketch import sections_of, side_by_side
from efnst.errors import EfnstError
from efnst.geometry.neighbours import NEAREST, neighbour_graph
from efnst.pairing import contingency, partners

FITTED_UNITS = 12_000  # of all sections together
RAREST = 1e-3  # share of a section that a domain is thought to have where none of it is found


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
        """How often known tissue lies as far from all domains, [n_units]: 0 to 1, small where tissue is new.

        0 for what lies farther than all of it, so that a reference of few units finds new tissue, too.
        """
        found = distances_to(self.mixtures[: self.n_trainings], embeddings, neighbour_graph(positions, NEAREST))
        farther = len(self.known) - np.searchsorted(self.known, found, side="left")
        return farther / len(self.known)


def fit_vocabulary(
    embeddings: Sequence[np.ndarray],
    places: Sequence[np.ndarray],
    options: DomainOptions,
    views: CommonViews | None = None,
    beside: Sequence[np.ndarray] = (),
) -> tuple[Vocabulary, dict]:
    """The domains of a balanced sample of all sections, and how their number was chosen where none is given.

    `embeddings` [n_units, n_dims] one for each training, `beside` the `views` of the same units; `places` [·, 2] of the
    units of each section, in pitches.
    """
    if options.clustering != "mixture":
        message = f"Expected clustering mixture with scope cohort, found {options.clustering}."
        raise EfnstError(message)
    positions, choice = side_by_side(places), {}
    if options.n_domains is None:
        choice = choice_of_number(embeddings, positions, options)
    seen, n_domains = [*embeddings, *beside], options.n_domains or choice["n_domains"]
    partitions, found = partitions_of(seen, positions, replace(options, n_domains=n_domains))
    labels, votes = consensus(partitions)
    others = labels_of_others(labels, seen, positions, len(places), options)
    if groups := own_tissue(embeddings, others, positions, sections_of(places)):
        partitions, found = with_own_tissue(partitions, found, labels, groups, seen, positions, options)
        labels, votes = consensus(partitions)
    n_components = found[0].probabilities.shape[1]
    order = np.argsort(-np.bincount(labels, minlength=votes.shape[1]), kind="stable")[:n_components]
    place = np.full(n_components + 1, -1)  # the last one for components that are no domain
    place[order] = np.arange(len(order))
    mixtures = [
        _mixture(values, each.probabilities, place[_numbers(partition, labels, n_components)])
        for values, each, partition in zip(seen, found, partitions, strict=True)
    ]
    vocabulary = Vocabulary(
        n_domains=len(order),
        n_trainings=len(embeddings),
        shown=closest(partitions[: len(embeddings)], labels),
        mixtures=mixtures,
        known=known_distances(embeddings, [each.probabilities for each in found[: len(embeddings)]], positions),
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
    """The label of the consensus that each component of a training is, int [n_components]; -1 for one without any.

    A component that shares no unit with what is left for it is none: it would vote for what it has nothing of.
    """
    shared = contingency(partition, labels, (n_components, labels.max() + 1))
    found = partners(shared)
    return np.where(found < shared.shape[1], found, -1)
