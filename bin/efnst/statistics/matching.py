"""The best one-to-one assignment between the domains of two independent runs."""

from collections.abc import Mapping

import pandas as pd
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score

ALL = "all"  # in place of a sample, where one assignment holds for all of them
DOMAIN_COLUMNS = ["sample", "domain_1", "domain_2", "n_1", "n_2", "n_both", "agreement", "jaccard"]
SAMPLE_COLUMNS = ["sample", "n_shared", "agreement", "ari"]
Pairs = Mapping[str, pd.DataFrame]  # by sample: domains of the shared spots, columns `first` and `second`, text


def match_domains(pairs: Pairs, common: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The assignment that the most spots agree with: a table of the domains of the first run, and one of the samples.

    common: whether domains are the same in all samples of both runs; one assignment then holds for all of them, else
    each sample has its own. `agreement`: share of the first run's spots that the second run has in the assigned domain.
    """
    pooled = {ALL: pd.concat(pairs.values())} if common else pairs
    tables = {name: _assigned(spots) for name, spots in pooled.items()}
    domains = pd.concat([table.assign(sample=name) for name, table in tables.items()], ignore_index=True)
    rows = []
    for sample, spots in pairs.items():
        partner = tables[ALL if common else sample].set_index("domain_1")["domain_2"]
        agree = (spots["first"].map(partner) == spots["second"]).mean()
        rows.append((sample, len(spots), agree, adjusted_rand_score(spots["first"], spots["second"])))
    return domains[DOMAIN_COLUMNS], pd.DataFrame(rows, columns=SAMPLE_COLUMNS)


def _assigned(spots: pd.DataFrame) -> pd.DataFrame:
    """Each domain of the first run with its partner, empty where the second run has fewer domains, by falling size."""
    table = pd.crosstab(spots["first"], spots["second"])
    counts = table.to_numpy()
    partner = dict(zip(*linear_sum_assignment(-counts), strict=True))
    sizes = counts.sum(axis=0)
    rows = []
    for row, domain in enumerate(table.index):
        column = partner.get(row)
        both, other = (int(counts[row, column]), int(sizes[column])) if column is not None else (0, 0)
        n_own = int(counts[row].sum())
        name = table.columns[column] if column is not None else ""
        rows.append((domain, name, n_own, other, both, both / n_own, both / (n_own + other - both)))
    found = pd.DataFrame(rows, columns=DOMAIN_COLUMNS[1:])
    return found.sort_values("n_1", ascending=False, kind="stable", ignore_index=True)
