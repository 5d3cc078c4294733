"""A mixture in which a small group of units, far from all the others, is a component of its own."""

from collections.abc import Iterator

import numpy as np

from efnst.domains.tied_mixture import TiedGaussians, expectation_maximisation

JOINED, GROUPS = 6, 4  # pairs of components and groups of units that are tried with each other
FARTHEST, EVERY = 400, 4  # of so many units that lie farthest out every so many-th is the middle of a group
GROUP, FEWEST = 1 / 300, 10  # units of a group: a share of all, at least
ROUNDS = 5
LEAST_GAIN = 1e-4  # nats a unit: less is within the tolerance of EM


def with_rare_groups(values: np.ndarray, found: TiedGaussians) -> TiedGaussians:
    """The likeliest mixture that follows from `found` where two alike components become one and a group has its own.

    `values` float64 [n_units, n_dims]. k-means hardly ever starts in a group of a few units in a thousand, so that EM
    from there shares a region between two components instead. As in split and merge EM (Ueda et al. 2000) components
    that lie close are joined and the one that is free begins elsewhere, here in what is far from all; EM goes on from
    each of these, and the likeliest is taken as long as it is likelier than before. The number of components stays.
    """
    likelihood = found.mean_log_likelihood(values)
    for _ in range(ROUNDS):
        fits = (expectation_maximisation(values, start) for start in _starts(values, found))
        best, likelier = max(fits, key=lambda fit: fit[1], default=(found, likelihood))
        if likelier <= likelihood + LEAST_GAIN:
            break
        found, likelihood = best, likelier
    return found


def _starts(values: np.ndarray, found: TiedGaussians) -> Iterator[np.ndarray]:
    """Probabilities [n_units, n_components] to go on from: each pair of components joined, each group on its own."""
    probabilities, groups = found.probabilities(values), _far_groups(values, found)
    for first, second in _alike(probabilities.sum(0), found):
        for group in groups:
            start = probabilities.copy()
            start[:, first] += start[:, second]
            start[:, second] = 0
            start[group] = 0
            start[group, second] = 1
            yield start


def _alike(sizes: np.ndarray, found: TiedGaussians) -> list[tuple[int, int]]:
    """The pairs of components that lose least when they are joined (Ward 1963), in units of the common covariance."""
    first, second = np.triu_indices(len(sizes), 1)
    apart = found.squared_distances(found.means)[first, second]
    cost = apart * sizes[first] * sizes[second] / np.maximum(sizes[first] + sizes[second], 1e-300)
    return [(first[pair], second[pair]) for pair in np.argsort(cost, kind="stable")[:JOINED]]


def _far_groups(values: np.ndarray, found: TiedGaussians) -> list[np.ndarray]:
    """Groups of units, int [n_group], that have no unit in common: those that gain most from a centre of their own."""
    white, far = found.whitened(values), found.squared_distances(values).min(1)
    n_group = min(max(FEWEST, round(GROUP * len(values))), len(values) - 1)
    tried = []
    for middle in np.argsort(-far, kind="stable")[:FARTHEST:EVERY]:
        group = np.argpartition(((white - white[middle]) ** 2).sum(1), n_group)[:n_group]
        own = ((white[group] - white[group].mean(0)) ** 2).sum()
        tried.append((far[group].sum() - own, group))
    groups, taken = [], np.zeros(len(values), bool)
    for _, group in sorted(tried, key=lambda gained: -gained[0]):
        if len(groups) < GROUPS and not taken[group].any():
            groups.append(group)
            taken[group] = True
    return groups
