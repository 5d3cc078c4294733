"""Which domains touch each other, and whether more or less than by chance."""

import numpy as np
import pandas as pd
import scipy.sparse as sp

MOST_PERMUTATIONS, LEAST_PERMUTATIONS = 1000, 100
PAIRS_LOOKED_AT = 200_000_000  # in all permutations; a section with more than 200,000 pairs gets fewer permutations


def permutations_of(graph: sp.csr_matrix) -> int:
    """How many permutations `adjacency_z` makes of a graph, so that half a million bins take seconds."""
    return int(np.clip(PAIRS_LOOKED_AT // max(graph.nnz // 2, 1), LEAST_PERMUTATIONS, MOST_PERMUTATIONS))


def domain_adjacency(graph: sp.csr_matrix, domains: pd.Categorical) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of touching spots between domains, and how many times more than if domains were shuffled over the spots.

    Both [n_domains, n_domains], symmetric; each pair of spots counts once. Enrichment is nan where no pair is expected.
    """
    n_domains = len(domains.categories)
    pairs = sp.triu(graph, k=1).tocoo()
    counts = _pair_counts(domains.codes[pairs.row], domains.codes[pairs.col], n_domains)
    sizes = np.bincount(domains.codes, minlength=n_domains).astype(float)
    possible = np.outer(sizes, sizes)
    np.fill_diagonal(possible, sizes * (sizes - 1) / 2)
    n_spots = sizes.sum()
    expected = pairs.nnz * possible / max(n_spots * (n_spots - 1) / 2, 1)
    return counts, np.divide(counts, expected, out=np.full_like(expected, np.nan), where=expected > 0)


def adjacency_z(graph: sp.csr_matrix, domains: pd.Categorical, seed: int, n_permutations: int) -> np.ndarray:
    """z score of each count of `domain_adjacency` against shuffled domains, [n_domains, n_domains]; nan without spread.

    The test of squidpy's `nhood_enrichment` (Palla 2022): domains are shuffled over the spots, sizes and graph stay.
    """
    n_domains = len(domains.categories)
    pairs = sp.triu(graph, k=1).tocoo()
    codes, rng = domains.codes.astype(np.int16), np.random.default_rng(seed)  # small enough for the cache
    observed = _pair_counts(codes[pairs.row], codes[pairs.col], n_domains)
    shuffled = np.empty((n_permutations, n_domains, n_domains))
    for permutation in range(n_permutations):
        codes = rng.permutation(codes)
        shuffled[permutation] = _pair_counts(codes[pairs.row], codes[pairs.col], n_domains)
    mean, spread = shuffled.mean(axis=0), shuffled.std(axis=0)
    return np.divide(observed - mean, spread, out=np.full_like(mean, np.nan), where=spread > 0)


def _pair_counts(first: np.ndarray, second: np.ndarray, n_domains: int) -> np.ndarray:
    """How often each two of the codes stand beside each other in either order, int [n_domains, n_domains]."""
    flat = np.bincount(first.astype(np.int32) * n_domains + second, minlength=n_domains**2)
    counts = flat.reshape(n_domains, n_domains)
    return counts + counts.T - np.diag(np.diag(counts))
