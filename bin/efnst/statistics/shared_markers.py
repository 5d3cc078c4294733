"""Markers and gene sets of common domains that hold across samples."""

from collections.abc import Mapping

import pandas as pd

from efnst.statistics.proportions import in_order

SIGNIFICANT = 0.05  # adjusted p value
MARKER_COLUMNS = [
    *("domain", "gene", "mean_rank", "n_samples", "n_samples_tested", "mean_log2_fold_change"),
    "n_significant",
]
GENE_SET_COLUMNS = ["domain", "gene_set", "mean_activity", "sd_activity", "n_samples", "n_significant"]


def shared_markers(markers: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Markers of at least two samples, or all of a single one, by domain and rising mean rank.

    `markers`: markers.csv by sample. `n_samples`: in how many of the `n_samples_tested`, which have markers of this
    domain, the gene is one of them; in the others its rank is taken to be one behind the longest list. `n_significant`:
    in how many its adjusted p value is below 0.05.
    """
    ranked = [table.assign(sample=name, rank=table.groupby("domain").cumcount() + 1) for name, table in markers.items()]
    if not ranked or not any(map(len, ranked)):
        return pd.DataFrame(columns=MARKER_COLUMNS)
    rows = pd.concat(ranked, ignore_index=True)
    rows["significant"] = rows["p_adjusted"] < SIGNIFICANT
    tested = rows.groupby("domain")["sample"].nunique()
    behind = rows.groupby("domain")["rank"].max() + 1
    found = rows.groupby(["domain", "gene"], as_index=False).agg(
        total_rank=("rank", "sum"),
        n_samples=("sample", "nunique"),
        mean_log2_fold_change=("log2_fold_change", "mean"),
        n_significant=("significant", "sum"),
    )
    found["n_samples_tested"] = found["domain"].map(tested)
    missing = found["n_samples_tested"] - found["n_samples"]
    found["mean_rank"] = (found["total_rank"] + missing * found["domain"].map(behind)) / found["n_samples_tested"]
    held = found[found["n_samples"] >= found["n_samples_tested"].clip(upper=2)]
    return _by_domain(held[MARKER_COLUMNS], ["mean_rank", "gene"], [True, True])


def shared_gene_sets(activities: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Mean activity of each gene set over samples, by domain and falling mean.

    `activities`: gene_sets.csv by sample. `n_significant`: in how many samples its adjusted p value is below 0.05.
    """
    if not any(map(len, activities.values())):
        return pd.DataFrame(columns=GENE_SET_COLUMNS)
    rows = pd.concat(activities.values(), ignore_index=True)
    rows["significant"] = rows["p_adjusted"] < SIGNIFICANT
    found = rows.groupby(["domain", "gene_set"], as_index=False).agg(
        mean_activity=("activity", "mean"),
        sd_activity=("activity", "std"),
        n_samples=("activity", "size"),
        n_significant=("significant", "sum"),
    )
    return _by_domain(found, ["mean_activity", "gene_set"], [False, True])


def _by_domain(table: pd.DataFrame, columns: list[str], rising: list[bool]) -> pd.DataFrame:
    """A table sorted by domain, then by these columns."""
    order = {domain: number for number, domain in enumerate(in_order(set(table["domain"])))}
    placed = table.assign(order=table["domain"].map(order))
    return placed.sort_values(["order", *columns], ascending=[True, *rising], ignore_index=True).drop(columns="order")
