"""Tissue that one section alone has: too little, of all units of a cohort, for mixtures to keep a component for it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from efnst.domains.clustering import TOGETHER, Clustering
from efnst.domains.consensus import agreement, consensus
from efnst.domains.continuity import own_neighbours
from efnst.domains.distances import distances_to
from efnst.domains.options import DomainOptions
from efnst.domains.partitions import partitions_around, partitions_of
from efnst.domains.tied_mixture import gaussians_of
from efnst.geometry.neighbours import NEAREST, neighbour_graph
from efnst.quality.spots import MAD_TO_SD

FAR = 2.5  # standard deviations of what is ordinary, beyond which a unit is unlike the other sections
LEAST_UNITS, LEAST_EVIDENCE = 20, 25.0  # of a group: its units, and the sum of what they lie beyond `FAR`
FEWEST_SECTIONS = 3  # of fewer nobody can tell what is ordinary
FEWEST_OTHERS = 2  # domains beside the groups
SPARE = 0.25  # of the mixtures: in so many a component is no tissue
GAIN = 0.03  # of the ARI between partitions, where a component that is tissue gives way
IS_DOMAIN = 0.5  # F1 of a group with a domain


def own_tissue(
    embeddings: Sequence[np.ndarray], labels: np.ndarray, positions: np.ndarray, sections: np.ndarray
) -> list[np.ndarray]:
    """Groups of neighbouring units, int [n_group] each, unlike all tissue of the other sections; the clearest first.

    `embeddings` [n_units, n_dims] one for each training, `labels` int [n_units] from 0 the domains so far, `positions`
    [n_units, 2] keep the `sections` int [n_units] apart. Each section is held against mixtures of the others, as it is
    against a reference. What batches move is the median of a section, which is taken out; ordinary is what is left of
    all units.
    """
    known = np.unique(sections)
    if len(known) < FEWEST_SECTIONS:
        return []
    graph = neighbour_graph(positions, NEAREST)
    far = np.zeros(len(labels))
    for rows in (sections == number for number in known):
        shares = np.eye(labels.max() + 1)[labels[~rows]]
        shares = shares[:, shares.sum(0) > 0]
        mixtures = [gaussians_of(np.asarray(values[~rows], np.float64), shares) for values in embeddings]
        found = distances_to(mixtures, [values[rows] for values in embeddings], graph[rows][:, rows])
        far[rows] = found - np.median(found)
    far = far / max(MAD_TO_SD * float(np.median(np.abs(far))), 1e-12) - FAR
    outside = np.flatnonzero(far > 0)
    _, group_of = connected_components(graph[outside][:, outside], directed=False)
    evidence = np.bincount(group_of, far[outside])
    large = (np.bincount(group_of) >= LEAST_UNITS) & (evidence >= LEAST_EVIDENCE)
    return [outside[group_of == group] for group in np.argsort(-evidence, kind="stable") if large[group]]


def labels_of_others(
    labels: np.ndarray, embeddings: Sequence[np.ndarray], positions: np.ndarray, n_sections: int, options: DomainOptions
) -> np.ndarray:
    """Labels int [n_units] from 0 of as many domains as are left beside tissue of one section, to hold it against.

    `labels` are those of all domains. Where their number is given there is one less.
    """
    if options.n_domains in (None, FEWEST_OTHERS) or n_sections < FEWEST_SECTIONS:
        return labels
    return consensus(partitions_of(embeddings, positions, replace(options, n_domains=options.n_domains - 1))[0])[0]


def with_own_tissue(
    partitions: np.ndarray,
    found: list[Clustering],
    labels: np.ndarray,
    groups: Sequence[np.ndarray],
    embeddings: Sequence[np.ndarray],
    positions: np.ndarray,
    options: DomainOptions,
) -> tuple[np.ndarray, list[Clustering]]:
    """`partitions` [n, n_units] and their clusterings with domains for the `groups` of `own_tissue`, in this order.

    `labels` int [n_units] from 0 are the domains so far.

    A group takes the place of a component that is no tissue, while there is one. Otherwise it is one domain more, up to
    `options.max_domains`; or, where their number is given or it is a domain by now, it takes the place of a component
    without which partitions agree better by `GAIN`, as two had been made of one tissue or the group was split.
    """
    graph, n_others, taken = neighbour_graph(positions, NEAREST), found[0].probabilities.shape[1], []
    room = options.n_domains or options.max_domains
    for group in groups:
        spare = _have_spare(found, graph)
        n_kept = n_others - 1 if spare or options.n_domains or _is_domain(group, labels) else n_others
        if n_kept < FEWEST_OTHERS or n_kept + len(taken) == room:
            continue
        around = partitions_around(embeddings, positions, [*taken, group], replace(options, n_domains=n_kept))
        if n_kept < n_others and not spare and _gain(partitions, around[0]) < GAIN:
            continue
        (partitions, found), n_others = around, n_kept
        taken.append(group)
    return partitions, found


def _gain(before: np.ndarray, after: np.ndarray) -> float:
    """By how much partitions [n, n_units] agree better than before, as mean ARI of two of them; 0 of a single one."""
    return float(agreement(after).mean() - agreement(before).mean()) if len(before) > 1 else 0.0


def _have_spare(found: Sequence[Clustering], graph: sparse.csr_array) -> bool:
    """Whether several mixtures have a component whose units do not lie together: these are at borders of others."""
    return np.mean([own_neighbours(each.labels, graph).min() < TOGETHER for each in found]) >= SPARE


def _is_domain(group: np.ndarray, labels: np.ndarray) -> bool:
    """Whether a domain has most of the group, and little else."""
    inside = np.bincount(labels[group], minlength=labels.max() + 1)
    return (2 * inside / (len(group) + np.bincount(labels))).max() >= IS_DOMAIN
