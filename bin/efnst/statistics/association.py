"""Whether the share of a domain goes with a covariate of the samplesheet: rank tests, which few samples limit."""

from collections.abc import Callable, Collection
from functools import cache
from itertools import permutations

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, kendalltau, kruskal, mannwhitneyu, rankdata

from efnst.statistics.covariates import in_full
from efnst.statistics.proportions import log_ratios

LEAST_SAMPLES = 4
LEAST_IN_LEVEL = 2  # samples of each level; a level with fewer is left out
MOST_ORDERS = 24  # orders of levels that are tried for the smallest p value; those of more levels are alike
COLUMNS = [
    *("domain", "covariate", "test", "n_samples", "levels", "statistic"),
    *("p_value", "p_adjusted", "smallest_p", "n_failed", "higher_in"),
]
Test = Callable[[np.ndarray], tuple[float, float]]  # from values of the samples to statistic and p value


def association_table(
    proportions: pd.DataFrame, covariates: pd.DataFrame, failed: Collection[str] = ()
) -> pd.DataFrame:
    """One row for each domain and covariate that can be tested, by rising p value.

    proportions: `proportion_table` of common domains. Tested are the centred log-ratios of the shares: Mann-Whitney for
    two levels, Kruskal-Wallis for more, Kendall's tau for numbers. `smallest_p`: what complete separation of these
    values would give, of which some (not all) may be alike; adjusted are all p values together (Benjamini-Hochberg).
    `higher_in`: where the share is larger, the level with the highest mean rank, of numbers `larger` or `smaller` ones,
    empty where none is. `n_failed`: how many of the samples are among those that `failed`. A domain that no sample has
    is left out.
    """
    if proportions.empty:
        return pd.DataFrame(columns=COLUMNS)
    spots = proportions.pivot(index="sample", columns="domain", values="n_spots")
    spots = spots.loc[:, spots.any()]
    ratios = pd.DataFrame(log_ratios(spots.to_numpy()), spots.index, spots.columns)
    domains = [domain for domain in dict.fromkeys(proportions["domain"]) if domain in ratios]
    known = covariates.reindex(ratios.index)
    rows = [row for name in known for row in _rows(ratios[domains], known[name], failed)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    if len(table):
        table["p_adjusted"] = false_discovery_control(table["p_value"])
    return table.sort_values("p_value", kind="stable", ignore_index=True)


def _rows(ratios: pd.DataFrame, covariate: pd.Series, failed: Collection[str]) -> list[dict]:
    """A row for each domain, none where the covariate cannot be tested."""
    known = covariate.dropna()
    if pd.api.types.is_numeric_dtype(known) and known.nunique() == 2:  # 0 and 1 are levels
        known = known.map(in_full)
    if not pd.api.types.is_numeric_dtype(known):
        sizes = known.value_counts()
        known = known[known.isin(sizes.index[sizes >= LEAST_IN_LEVEL])]
    if len(known) < LEAST_SAMPLES or known.nunique() < 2:
        return []
    name, test = _test_for(known)
    about = {"covariate": covariate.name, "test": name, "n_samples": len(known), "levels": _levels(known)}
    about["n_failed"] = int(known.index.isin(failed).sum())
    orders = _separating(known)

    @cache
    def smallest(ranks: tuple[float, ...]) -> float:
        """The smallest p value of these ranks, rising, however they are spread over the samples."""
        return min(test(np.array(ranks)[order])[1] for order in orders)

    rows = []
    for domain in ratios:
        values = ratios.loc[known.index, domain].to_numpy()
        differ = np.ptp(values) > 0
        statistic, p_value = test(values) if differ else (np.nan, 1.0)
        ranks = np.sort(rankdata(values)) if differ else np.arange(len(values))
        least = min(p_value, smallest(tuple(ranks)))  # of many levels not all orders are tried
        found = {"statistic": statistic, "p_value": p_value, "smallest_p": least}
        rows.append({"domain": domain} | about | found | {"higher_in": _higher_in(values, known, statistic)})
    return rows


def _higher_in(values: np.ndarray, known: pd.Series, statistic: float) -> str:
    """The level with the highest mean rank of the values, of numbers `larger` or `smaller`; empty where it is a tie.

    `statistic` is that of the test, of numbers Kendall's tau.
    """
    if pd.api.types.is_numeric_dtype(known):
        return "larger" if statistic > 0 else "smaller" if statistic < 0 else ""
    ranks = pd.Series(rankdata(values)).groupby(known.to_numpy()).mean()
    highest = ranks.index[np.isclose(ranks, ranks.max())]
    return str(highest[0]) if len(highest) == 1 else ""


def _test_for(known: pd.Series) -> tuple[str, Test]:
    """The test of a covariate, and its name."""
    if pd.api.types.is_numeric_dtype(known):
        return "kendall", lambda values: tuple(kendalltau(values, known))
    codes = known.astype("category").cat.codes.to_numpy()
    parts = [codes == code for code in range(codes.max() + 1)]
    if len(parts) == 2:
        return "mann_whitney", lambda values: tuple(mannwhitneyu(*(values[part] for part in parts)))
    return "kruskal_wallis", lambda values: tuple(kruskal(*(values[part] for part in parts)))


def _levels(known: pd.Series) -> str:
    """The levels with their samples; the range of numbers."""
    if pd.api.types.is_numeric_dtype(known):
        return f"{in_full(known.min())} to {in_full(known.max())}"
    return ", ".join(f"{level}: {count}" for level, count in known.value_counts().sort_index().items())


def _separating(known: pd.Series) -> list[np.ndarray]:
    """Places [n_samples] in a rising list of values that the covariate separates completely: one for each order.

    Numbers may rise or fall with the values, levels come in any order.
    """
    if pd.api.types.is_numeric_dtype(known):
        return [_places(known), _places(-known)]
    codes = known.astype("category").cat.codes.to_numpy()
    orders = permutations(range(codes.max() + 1))
    return [_places(pd.Series(np.array(order)[codes])) for order, _ in zip(orders, range(MOST_ORDERS), strict=False)]


def _places(values: pd.Series) -> np.ndarray:
    """The place of each value in their order."""
    return values.rank(method="first").to_numpy(int) - 1
