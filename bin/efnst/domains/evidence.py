"""Evidence for a partition: how well its domains tell counts that their profiles were not made of."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.stats import t

from efnst.domains.clustering import fitted

GENES = 3_000  # those with the most counts are looked at
BLOCK_SPOTS = 120  # a block has at most so many spots
BLOCKS = 32  # at most
PRIOR_COUNTS = 10  # a gene: profiles of domains are drawn towards the section's by as many counts
LEVEL = 0.05  # of the test of a partition against the best
FULL, NONE = 0.75, 1.25  # of what is significant: less behind the best a partition counts in full, more hardly
LEAST = 0.01  # weight in the vote
KEPT = 0.5  # of the partitions count in full whatever the test says


@dataclass(frozen=True)
class Difference:
    """A gain in nats a count, and its standard error over the blocks."""

    gain: float
    error: float


@dataclass(frozen=True)
class Gains:
    """Log-likelihood of held-out counts beyond that of the section's mean profile.

    `values` [n_partitions, n_blocks] in nats a count, `weights` [n_blocks] the shares of the counts that lie in each.
    """

    values: np.ndarray
    weights: np.ndarray

    @property
    def means(self) -> np.ndarray:
        """Of each partition, [n_partitions]."""
        return self.values @ self.weights

    def of(self, members: np.ndarray | slice) -> np.ndarray:
        """The mean gain of some partitions in each block, [n_blocks]."""
        return self.values[members].mean(0)

    def difference(self, first: np.ndarray, second: np.ndarray | float = 0.0) -> Difference:
        """What `first` [n_blocks] gains over `second`, block by block."""
        values = first - second
        return Difference(float(values @ self.weights), float(_standard_error(values[None], self.weights)[0]))


def held_out_gains(counts: sparse.csr_array, positions: np.ndarray, partitions: np.ndarray, seed: int) -> Gains:
    """How well each of `partitions` int [n_partitions, n_spots], labels 0 …, tells counts that it has not seen.

    Every count of `counts` [n_spots, n_genes] falls to one of two halves at random, which are independent where counts
    are Poisson. The expression profile of each domain comes from one half, the log-likelihood is that of the other,
    and both ways are summed. Of many spots every n-th is looked at.
    """
    seen = fitted(len(positions))
    counts, partitions = _commonest(sparse.csr_array(counts)[seen]), partitions[:, seen]
    blocks = _blocks(positions[seen])
    in_block = _members(blocks)
    totals = np.asarray(in_block @ counts.sum(1)).ravel()
    halves = _halves(counts, np.random.default_rng([seed, 1]))
    gained = sum(_gained(*pair, partitions, in_block) for pair in (halves, halves[::-1]))
    return Gains(gained / np.maximum(totals, 1), totals / max(totals.sum(), 1))


def voting_weights(gains: Gains) -> np.ndarray:
    """How much each partition counts in the vote, float [n_partitions], from `LEAST` to 1.

    What is behind the best by less than `FULL` of what is significant in a paired one-sided t test over the blocks at
    `LEVEL` counts in full, and so does the better half in any case; what is behind by `NONE` of it has `LEAST`, which
    decides between domains with as many votes. In between the weight falls linearly, so that rounding, which moves a
    partition over an edge, moves no spot. A small section has few blocks, in which nearly all count in full.
    """
    means, n_blocks = gains.means, len(gains.weights)
    if n_blocks < 2:
        return np.ones(len(means))
    differences = gains.values[means.argmax()] - gains.values
    behind = differences @ gains.weights
    significant = t.ppf(1 - LEVEL, n_blocks - 1) * _standard_error(differences, gains.weights)
    parts = np.divide(behind, significant, out=np.where(behind > 0, np.inf, 0.0), where=significant > 0)
    weights = np.clip((NONE - parts) / (NONE - FULL), LEAST, 1)
    weights[np.argsort(-means, kind="stable")[: int(np.ceil(KEPT * len(means)))]] = 1
    return weights


def _commonest(counts: sparse.csr_array) -> sparse.csr_array:
    """`counts` of the genes with the most."""
    totals = np.asarray(counts.sum(0)).ravel()
    kept = counts[:, np.sort(np.argsort(-totals, kind="stable")[:GENES])]
    kept.sum_duplicates()  # the order of counts decides which half each falls to
    return kept


def _halves(counts: sparse.csr_array, rng: np.random.Generator) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Two matrices of counts that add up to `counts`."""
    first = rng.binomial(counts.data.astype(np.int64), 0.5)
    parts = first, counts.data - first
    return tuple(
        sparse.csr_array((part.astype(np.float32), counts.indices, counts.indptr), shape=counts.shape) for part in parts
    )


def _gained(
    seen: sparse.csr_array, held_out: sparse.csr_array, partitions: np.ndarray, in_block: sparse.csr_array
) -> np.ndarray:
    """Log-likelihood of `held_out` counts beyond that of the mean profile, [n_partitions, n_blocks]."""
    total = np.asarray(seen.sum(0), float).ravel() + 1 / seen.shape[1]
    mean = total / total.sum()
    gained = []
    for labels in partitions:
        profiles = np.asarray((_members(labels) @ seen).todense(), float) + PRIOR_COUNTS * len(mean) * mean
        told = held_out @ np.log(profiles / profiles.sum(1, keepdims=True) / mean).T
        gained.append(in_block @ told[np.arange(len(labels)), labels])
    return np.array(gained)


def _members(labels: np.ndarray) -> sparse.csr_array:
    """0/1 [n_labels, n_spots]: which spots carry each of the labels 0 …."""
    places = (labels, np.arange(len(labels)))
    return sparse.csr_array((np.ones(len(labels), np.float32), places), shape=(labels.max() + 1, len(labels)))


def _blocks(positions: np.ndarray) -> np.ndarray:
    """Block int [n_spots] of neighbouring spots: parts are halved along their longer side until they are small."""
    blocks, n_blocks = np.zeros(len(positions), int), 1
    while n_blocks < BLOCKS and len(positions) > BLOCK_SPOTS * n_blocks:
        blocks = 2 * blocks + _upper_halves(positions, blocks)
        n_blocks *= 2
    return np.unique(blocks, return_inverse=True)[1]


def _upper_halves(positions: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """0 or 1 [n_spots]: whether a spot lies in the farther half of its block."""
    farther = np.zeros(len(positions), int)
    for block in np.unique(blocks):
        members = np.flatnonzero(blocks == block)
        axis = int(np.argmax(np.ptp(positions[members], axis=0)))
        farther[members[np.argsort(positions[members, axis], kind="stable")[len(members) // 2 :]]] = 1
    return farther


def _standard_error(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Standard error of the weighted mean over blocks of each row of `values` [n, n_blocks]; 0 of a single block."""
    n_blocks = len(weights)
    if n_blocks < 2:
        return np.zeros(len(values))
    squared = weights**2 * (values - (values @ weights)[:, None]) ** 2
    return np.sqrt(squared.sum(1) * n_blocks / (n_blocks - 1))
