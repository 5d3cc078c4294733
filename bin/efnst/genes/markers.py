"""Marker genes of domains: Wilcoxon rank-sum test of each domain against all other spots, on sparse expression.

Same statistic as `scanpy.tl.rank_genes_groups(method="wilcoxon", tie_correct=True)`, but the many zeros of a gene share
one rank that is known without sorting them: time and memory follow the non-zero counts, not spots x genes. The scores
agree to 5e-8 of the largest; 50,000 spots × 18,000 genes take 32 s of CPU here and 490 s there (bench/scverse.py).
"""

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.stats import false_discovery_control, norm

MIN_SPOTS = 3  # a gene seen in fewer spots is not tested
MIN_DOMAIN_SPOTS = 2  # a domain with fewer spots has no markers
PSEUDO_COUNT = 0.01  # keeps the fold change of a gene absent elsewhere finite
CHUNK_NONZEROS = 20_000_000  # non-zero counts that are ranked at a time
COLUMNS = ["domain", "gene", "score", "log2_fold_change", "p_value", "p_adjusted", "fraction_in", "fraction_out"]


def rank_markers(expression: sp.csc_matrix, genes: np.ndarray, domains: pd.Categorical, n_markers: int) -> pd.DataFrame:
    """The `n_markers` best up-regulated genes of each domain, best first: those with higher ranks and a higher mean.

    expression: log1p-normalised [n_spots, n_genes]; genes: names [n_genes]; domains: [n_spots]. Domains too small to be
    tested (see `untestable_domains`) are left out. p values are two-sided, adjusted per domain (Benjamini-Hochberg).
    """
    members = members_of(domains)
    left_out = untestable_domains(domains)
    z = rank_sum_z(expression, members)
    fold_change = _log2_fold_change(expression, members)
    seen = _seen(expression)
    fraction_in, fraction_out = _mean_in_and_out(seen, members)
    tables = []
    for row, domain in enumerate(domains.categories):
        if str(domain) in left_out:
            continue
        p_value = 2 * norm.sf(np.abs(z[row]))
        p_adjusted = false_discovery_control(p_value)
        higher = np.flatnonzero((z[row] > 0) & (fold_change[row] > 0))
        best = higher[np.argsort(-z[row, higher], kind="stable")[:n_markers]]
        columns = (z[row], fold_change[row], p_value, p_adjusted, fraction_in[row], fraction_out[row])
        values = [column[best] for column in columns]
        tables.append(pd.DataFrame(dict(zip(COLUMNS, [str(domain), genes[best], *values], strict=True))))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)


def domain_profile(expression: sp.csc_matrix, domains: pd.Categorical) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each gene in each domain, and share of the domain's spots in which it is seen, [n_domains, n_genes].

    expression: log1p-normalised [n_spots, n_genes]; both are 0 for a domain without spots.
    """
    members = members_of(domains)
    seen = _seen(expression)
    return _mean_in_and_out(expression, members)[0], _mean_in_and_out(seen, members)[0]


def pseudobulk(counts: sp.csr_matrix, domains: pd.Categorical) -> np.ndarray:
    """Counts of each domain, summed over its spots: [n_domains, n_genes]. counts: raw [n_spots, n_genes]."""
    return (members_of(domains) @ counts).toarray()


def untestable_domains(domains: pd.Categorical) -> dict[str, str]:
    """What keeps domains from being tested: fewer than two spots, or fewer than two spots outside them."""
    sizes = {str(name): int(size) for name, size in domains.value_counts().items()}
    small = {name: "too few spots" for name, size in sizes.items() if size < MIN_DOMAIN_SPOTS}
    alone = {name: "too few spots outside it" for name, size in sizes.items() if len(domains) - size < MIN_DOMAIN_SPOTS}
    return alone | small


def rank_sum_z(expression: sp.csc_matrix, members: sp.csr_matrix) -> np.ndarray:
    """Tie-corrected z score of the rank-sum test, each group against the rest: float64 [n_groups, n_genes].

    expression: non-negative [n_spots, n_genes]; members: 0/1 [n_groups, n_spots]. A gene with one value everywhere: 0.
    """
    n_spots, n_genes = expression.shape
    sizes = np.asarray(members.sum(axis=1)).ravel()[:, None]
    n_zero = n_spots - np.diff(expression.indptr)
    rank_sums, ties = np.zeros((len(sizes), n_genes)), np.zeros(n_genes)
    for start, stop in _gene_chunks(expression.indptr):
        ranks, ties[start:stop] = _ranks_of_nonzeros(expression[:, start:stop], n_zero[start:stop])
        zeros_in_group = sizes - (members @ _seen(ranks)).toarray()
        rank_sums[:, start:stop] = (members @ ranks).toarray() + zeros_in_group * (n_zero[start:stop] + 1) / 2
    tie_factor = 1 - (ties + _tie_term(n_zero)) / _tie_term(np.float64(n_spots))
    variance = np.maximum(tie_factor, 0) * sizes * (n_spots - sizes) * (n_spots + 1) / 12
    deviation = rank_sums - sizes * (n_spots + 1) / 2
    return np.divide(deviation, np.sqrt(variance), out=np.zeros_like(deviation), where=variance > 1e-9)


def _ranks_of_nonzeros(expression: sp.csc_matrix, n_zero: np.ndarray) -> tuple[sp.csc_matrix, np.ndarray]:
    """Ranks of the non-zero values within their gene (zeros come first, ties share their mean rank), and tie terms."""
    n_genes = expression.shape[1]
    gene = np.repeat(np.arange(n_genes), np.diff(expression.indptr))
    order = np.lexsort((expression.data, gene))
    gene, value = gene[order], expression.data[order]
    is_start = np.ones(len(value), dtype=bool)
    is_start[1:] = (gene[1:] != gene[:-1]) | (value[1:] != value[:-1])
    starts = np.flatnonzero(is_start)
    tied = np.diff(np.append(starts, len(value)))
    first_rank = starts - expression.indptr[gene[starts]] + n_zero[gene[starts]] + 1
    ranks = np.empty(len(value))
    ranks[order] = np.repeat(first_rank + (tied - 1) / 2, tied)
    ties = np.bincount(gene[starts], weights=_tie_term(tied), minlength=n_genes)
    return sp.csc_matrix((ranks, expression.indices, expression.indptr), shape=expression.shape), ties


def _tie_term(tied: np.ndarray) -> np.ndarray:
    """What `tied` equal values take from the variance of the rank sum: t^3 - t."""
    tied = np.asarray(tied, dtype=np.float64)
    return tied**3 - tied


def _gene_chunks(indptr: np.ndarray) -> list[tuple[int, int]]:
    """Ranges of genes that hold at most `CHUNK_NONZEROS` non-zero values together (but at least one gene)."""
    n_genes = len(indptr) - 1
    chunks, start = [], 0
    while start < n_genes:
        stop = int(np.searchsorted(indptr, indptr[start] + CHUNK_NONZEROS, side="right")) - 1
        stop = min(max(stop, start + 1), n_genes)
        chunks.append((start, stop))
        start = stop
    return chunks


def _log2_fold_change(expression: sp.csc_matrix, members: sp.csr_matrix) -> np.ndarray:
    """log2 of mean normalised counts in each group over those elsewhere: float64 [n_groups, n_genes]."""
    scaled = sp.csc_matrix((np.expm1(expression.data), expression.indices, expression.indptr), expression.shape)
    inside, outside = _mean_in_and_out(scaled, members)
    return np.log2((inside + PSEUDO_COUNT) / (outside + PSEUDO_COUNT))


def _mean_in_and_out(values: sp.csc_matrix, members: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each gene inside and outside each group, each float64 [n_groups, n_genes]."""
    sizes = np.asarray(members.sum(axis=1)).ravel()[:, None]
    inside = (members @ values).toarray()
    outside = np.asarray(values.sum(axis=0)).ravel() - inside
    return inside / np.maximum(sizes, 1), outside / np.maximum(values.shape[0] - sizes, 1)


def _seen(values: sp.csc_matrix) -> sp.csc_matrix:
    """1 where `values` has an entry."""
    return sp.csc_matrix((np.ones_like(values.data), values.indices, values.indptr), values.shape)


def members_of(domains: pd.Categorical) -> sp.csr_matrix:
    """Which spots belong to which domain: float64 0/1 [n_domains, n_spots]."""
    placed = np.flatnonzero(domains.codes >= 0)
    shape = (len(domains.categories), len(domains))
    return sp.csr_matrix((np.ones(len(placed)), (domains.codes[placed], placed)), shape=shape)
