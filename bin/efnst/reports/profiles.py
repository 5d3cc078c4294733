"""Pseudo-bulk profiles of all domains of a cohort: their principal components and their expression of marker genes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.linalg import eigh

from efnst.statistics.common_genes import common_genes
from efnst.statistics.pseudobulk import joined_genes

VARIABLE_GENES = 2000  # that the components are made of


@dataclass(frozen=True)
class Profiles:
    """log2 of counts per million, plus one, of each domain: float64 [n_profiles, n_genes], and what the rows are.

    `called`: by sample, what `genes` calls a gene of the section, by its own symbol.
    """

    samples: list[str]
    domains: list[str]
    genes: np.ndarray
    expression: np.ndarray
    called: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def common_names(self, sample: str, genes: Sequence[str]) -> list[str]:
        """The genes of a section as `genes` calls them."""
        called = self.called.get(sample, {})
        return [called.get(gene, gene) for gene in genes]


def profiles_of(sums: Mapping[str, pd.DataFrame]) -> Profiles | None:
    """The profiles of counts by sample, in its order (`read_sums`), of the genes that all sections have.

    None where these are few.
    """
    joined = joined_genes({sample: table / (table.sum().clip(lower=1) / 1e6) for sample, table in sums.items()})
    if joined is None:
        return None
    samples, domains = (joined.columns.get_level_values(level).astype(str).tolist() for level in (0, 1))
    genes = joined.index.get_level_values("gene").to_numpy(dtype=str)
    called = {sample: found["gene"].to_dict() for sample, found in common_genes(sums).items()}
    return Profiles(samples, domains, genes, np.log2(joined.to_numpy().T + 1), called)


def principal_components(profiles: Profiles) -> tuple[np.ndarray, np.ndarray]:
    """The first two components of the most variable genes, [n_profiles, 2], and their shares of the variance, [2].

    At least two profiles are needed.
    """
    variance = profiles.expression.var(axis=0)
    chosen = np.argsort(-variance, kind="stable")[:VARIABLE_GENES]
    centred = profiles.expression[:, chosen] - profiles.expression[:, chosen].mean(axis=0)
    # Two eigenvectors of the profiles' products instead of all singular vectors: seconds instead of minutes.
    products = centred @ centred.T
    strength, axes = eigh(products, subset_by_index=[len(products) - 2, len(products) - 1])
    strength, axes = np.maximum(strength[::-1], 0), axes[:, ::-1]
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1, 1)  # the sign is arbitrary
    return axes * np.sqrt(strength), strength / (np.trace(products) or 1)


def marker_scores(profiles: Profiles, top_markers: Sequence[dict[str, list[str]]], n_genes: int) -> pd.DataFrame:
    """z scores over all profiles of the genes that are named most often as markers, [n_profiles, at most n_genes].

    `top_markers`: for each section its best markers by domain.
    """
    named = Counter(gene for of_section in top_markers for genes in of_section.values() for gene in genes)
    known = set(profiles.genes)
    chosen = [gene for gene, _ in named.most_common() if gene in known][:n_genes]
    values = profiles.expression[:, pd.Index(profiles.genes).get_indexer(chosen)]
    spread = values.std(axis=0)
    scores = np.divide(values - values.mean(axis=0), spread, out=np.zeros_like(values), where=spread > 0)
    return pd.DataFrame(scores, columns=chosen)
