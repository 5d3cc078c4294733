"""The best one-to-one assignment between the domains of two independent runs."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from efnst.pairing import partners

ALL = "all"  # in place of a sample, where one assignment holds for all of them
DOMAIN_COLUMNS = ["sample", "domain_1", "domain_2", "n_1", "n_2", "n_both", "agreement", "jaccard"]
SAMPLE_COLUMNS = ["sample", "n_shared", "agreement", "ari"]
Pairs = Mapping[str, pd.DataFrame]  # by sample: domains of the shared spots, columns `first` and `second`, text


def match_domains(pairs: Pairs, common: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The assignment that the most spots agree with: a table of the domains of both runs, and one of the samples.

    common: whether domains are the same in all samples of both runs; one assignment then holds for all of them, else
    each sample has its own. `agreement`: share of the first run's spots that the second run has in the assigned domain.
    """
    pooled = {ALL: pd.concat(pairs.values())} if common else pairs
    tables = {name: _assigned(spots) for name, spots in pooled.items()}
    domains = pd.concat([table.assign(sample=name) for name, table in tables.items()], ignore_index=True)
    rows = []
    for sample, spots in pairs.items():
        table = tables[ALL if common else sample]
        partner = table[table["n_both"] > 0].set_index("domain_1")["domain_2"]
        agree = (spots["first"].map(partner) == spots["second"]).mean()
        rows.append((sample, len(spots), agree, adjusted_rand_score(spots["first"], spots["second"])))
    return domains[DOMAIN_COLUMNS], pd.DataFrame(rows, columns=SAMPLE_COLUMNS)


def _assigned(spots: pd.DataFrame) -> pd.DataFrame:
    """Each domain of the first run with its partner by falling size, then those of the second run that have none.

    What has no partner, as it shares no spot with what is left, has an empty one and an agreement of 0.
    """
    table = pd.crosstab(spots["first"], spots["second"])
    counts, partner = table.to_numpy(), partners(table.to_numpy())
    own, other = counts.sum(axis=1), counts.sum(axis=0)
    rows = []
    for row, column in enumerate(partner):
        name, n_other, both = "", 0, 0
        if column < len(other):
            name, n_other, both = table.columns[column], int(other[column]), int(counts[row, column])
        n_own = int(own[row])
        rows.append((table.index[row], name, n_own, n_other, both, both / n_own, both / (n_own + n_other - both)))
    left = np.setdiff1d(np.arange(len(other)), partner)
    rows += [("", table.columns[column], 0, int(other[column]), 0, 0.0, 0.0) for column in left]
    found = pd.DataFrame(rows, columns=DOMAIN_COLUMNS[1:])
    return found.sort_values(["n_1", "n_2"], ascending=False, kind="stable", ignore_index=True)
