"""The partitions that embeddings give, and the number of domains where none is given."""

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from efnst.domains.clustering import Clustering, cluster, fitted
from efnst.domains.number import choose_number, stability_curve
from efnst.domains.options import DomainOptions
from efnst.domains.refinement import refine
from efnst.errors import EfnstError


def choice_of_number(embeddings: Sequence[np.ndarray], positions: np.ndarray, options: DomainOptions) -> dict:
    """The number of domains chosen, the runner-up, whether none stands out, and the curve it was read from.

    `embeddings` float [n_spots, ·], one per training; `positions` [n_spots, 2].
    """
    seen = fitted(len(positions))
    tried = range(2, options.max_domains + 1)
    curve = stability_curve([values[seen] for values in embeddings], positions[seen], tried, options.seed)
    return asdict(choose_number(curve)) | {"curve": curve.to_dict("list")}


def partitions_of(
    embeddings: Sequence[np.ndarray], positions: np.ndarray, options: DomainOptions
) -> tuple[np.ndarray, list[Clustering]]:
    """The refined labels of each embedding or view, int [n, n_spots], and its clustering into `options.n_domains`.

    Raises EfnstError where there are fewer spots than that.
    """
    if options.n_domains > len(positions):
        raise EfnstError(
            f"Expected n_domains to be at most the number of spots ({len(positions)}), found {options.n_domains}."
        )
    found = [
        cluster(
            *(embedding, options.n_domains, options.clustering, (options.seed + number) % 2**32),
            *(positions, options.spatial_prior),
        )
        for number, embedding in enumerate(embeddings)
    ]
    return np.stack([refine(c.labels, positions, options.refinement_rounds) for c in found]), found


def partitions_around(
    embeddings: Sequence[np.ndarray], positions: np.ndarray, groups: Sequence[np.ndarray], options: DomainOptions
) -> tuple[np.ndarray, list[Clustering]]:
    """What `partitions_of` finds in all but `groups` of units, int [n_group] each, which are labels of their own.

    Their labels follow the `options.n_domains` of the other units.
    """
    others = np.ones(len(positions), bool)
    others[np.concatenate(groups)] = False
    partitions, found = partitions_of([values[others] for values in embeddings], positions[others], options)
    labels = np.empty((len(partitions), len(positions)), int)
    labels[:, others] = partitions
    probabilities = np.zeros((len(found), len(positions), options.n_domains + len(groups)))
    probabilities[:, others, : options.n_domains] = [each.probabilities for each in found]
    for number, group in enumerate(groups, options.n_domains):
        labels[:, group] = number
        probabilities[:, group, number] = 1
    alone = f"{len(groups)} of tissue that one section alone has"
    clusterings = [
        replace(each, labels=shares.argmax(1), how=f"{each.how}, {alone}", probabilities=shares)
        for each, shares in zip(found, probabilities, strict=True)
    ]
    return labels, clusterings
