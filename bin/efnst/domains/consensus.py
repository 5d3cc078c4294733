"""One partition from several: the runs' domains are numbered alike, and each spot takes what most runs say."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from efnst.pairing import contingency

ROUNDS = 10


def consensus(partitions: np.ndarray, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Labels int [n_spots] and the share of runs that give a spot each label, float [n_spots, n_labels].

    `partitions` int [n_runs, n_spots], labels 0 …; `weights` [n_runs] of the runs, the same for all unless given. All
    runs are matched to the run that agrees best with the others (mean ARI), then to the votes themselves until those
    stay (Dimitriadou, Weingessel and Hornik 2002). Time and memory are linear in the number of spots.
    """
    weights = np.ones(len(partitions)) if weights is None else weights
    labels = partitions[_medoid(partitions, weights)]
    for _ in range(ROUNDS):
        matched = np.stack([match(partition, labels) for partition in partitions])
        votes = np.average(matched[:, :, None] == np.arange(matched.max() + 1), 0, weights)
        winner = votes.argmax(1)
        if np.array_equal(winner, labels):
            break
        labels = winner
    return labels, votes


def agreement(partitions: np.ndarray) -> np.ndarray:
    """ARI of each pair of runs, [n_runs · (n_runs - 1) / 2]."""
    first, second = np.triu_indices(len(partitions), 1)
    return np.array([adjusted_rand(partitions[i], partitions[j]) for i, j in zip(first, second, strict=True)])


def adjusted_rand(first: np.ndarray, second: np.ndarray) -> float:
    """The adjusted Rand index of two partitions int [n_spots] (Hubert and Arabie 1985); 1 of the same two.

    scikit-learn's takes 2 ms longer to look at its input, a hundred times for each number of domains that is tried.
    """
    first, second = (labels.astype(np.int64) - labels.min() for labels in (first, second))
    both = np.bincount(first * (second.max() + 1) + second)
    pairs, of_first, of_second = (
        float((sizes.astype(float) * (sizes - 1)).sum()) for sizes in (both, np.bincount(first), np.bincount(second))
    )
    n_pairs = len(first) * (len(first) - 1.0)
    by_chance, largest = of_first * of_second / max(n_pairs, 1.0), (of_first + of_second) / 2
    return 1.0 if largest == by_chance else (pairs - by_chance) / (largest - by_chance)


def closest(partitions: np.ndarray, labels: np.ndarray) -> int:
    """The place of the partition that agrees best with `labels`; the first one on a tie."""
    return int(np.argmax([adjusted_rand(labels, partition) for partition in partitions]))


def match(labels: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Labels 0 … renumbered so that as many spots as possible carry the number they have in `reference`."""
    n_labels = labels.max() + 1
    overlap = contingency(labels, reference, (n_labels, max(n_labels, reference.max() + 1)))
    _, number = linear_sum_assignment(-overlap)
    return number[labels]


def _medoid(partitions: np.ndarray, weights: np.ndarray) -> int:
    """The run with the largest mean ARI to all others; the first one on a tie."""
    n_runs = len(partitions)
    total = np.zeros(n_runs)
    first, second = np.triu_indices(n_runs, 1)
    values = agreement(partitions)
    np.add.at(total, first, values * weights[second])
    np.add.at(total, second, values * weights[first])
    return int(total.argmax())
