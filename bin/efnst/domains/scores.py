"""Agreement of domains with given labels, of any method. Labels serve for nothing else."""

import numpy as np
import pandas as pd
from sklearn import metrics

from efnst.inputs.spelling import bare

# ARI: Hubert and Arabie 1985. AMI and NMI: Vinh, Epps and Bailey 2010, over the arithmetic mean of the two entropies.
# Homogeneity, completeness and V: Rosenberg and Hirschberg 2007, with β = 1, which makes V the same number as NMI.
SCORES = {
    "ari": metrics.adjusted_rand_score,
    "ami": metrics.adjusted_mutual_info_score,
    "nmi": metrics.normalized_mutual_info_score,
    "homogeneity": metrics.homogeneity_score,
    "completeness": metrics.completeness_score,
    "v_measure": metrics.v_measure_score,
}


def labelled_spots(labels: pd.Series, ignore: list[str]) -> np.ndarray:
    """bool [n_spots]: spots with a label that is not to be ignored, however it is spelled (`spelling.bare`)."""
    ignored = {bare(name) for name in ["", *ignore]}
    left_out = [label for label in labels.dropna().unique() if bare(str(label)) in ignored]
    return (labels.notna() & ~labels.isin(left_out)).to_numpy()


def scored_spots(labels: pd.Series, ignore: list[str]) -> np.ndarray:
    """bool [n_spots]: the same; none where all have one label, which says nothing about domains."""
    found = labelled_spots(labels, ignore)
    return found if labels[found].nunique() > 1 else np.zeros(len(labels), bool)


def label_scores(domains: np.ndarray, labels: pd.Series, ignore: list[str]) -> dict[str, float]:
    """Scores of `domains` [n_spots] against `labels` (missing: left out); empty when no spot is labelled."""
    truth, found = (pd.factorize(values)[0] for values in _scored(domains, labels, ignore))  # text is slow to compare
    return {name: float(score(truth, found)) for name, score in SCORES.items()} if len(truth) else {}


def confusion(domains: np.ndarray, labels: pd.Series, ignore: list[str]) -> pd.DataFrame:
    """Counts of scored spots by domain (rows) and label (columns), both sorted.

    Every domain has a row, of zeros where none of its spots is scored; `domains` [n_spots].
    """
    truth, found = _scored(domains, labels, ignore)
    rows, columns = pd.Index(np.unique(domains), name="domain"), pd.Index(np.unique(truth), name="label")
    counts = np.zeros((len(rows), len(columns)), int)
    np.add.at(counts, (rows.get_indexer(found), columns.get_indexer(truth)), 1)
    return pd.DataFrame(counts, rows, columns)


def best_matches(domains: np.ndarray, labels: pd.Series, ignore: list[str]) -> pd.DataFrame:
    """For each label, in sorted order, the domain with the largest Jaccard index; `domains` [n_spots].

    Columns `label`, `domain` (the first in sorted order on a tie), `jaccard` (shared spots over spots in either, of the
    scored spots; 0 to 1) and `n_spots` (the label's). Two labels may share a domain. No rows when no spot is labelled.
    """
    table = confusion(domains, labels, ignore)
    shared = table.to_numpy()
    n_spots = shared.sum(0)
    jaccard = shared / (shared.sum(1, keepdims=True) + n_spots - shared)
    best = table.index[jaccard.argmax(0)]
    return pd.DataFrame({"label": table.columns, "domain": best, "jaccard": jaccard.max(0), "n_spots": n_spots})


def _scored(domains: np.ndarray, labels: pd.Series, ignore: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Labels as text and domains of the scored spots, both [n_scored]."""
    scored = scored_spots(labels, ignore)
    return labels[scored].astype(str).to_numpy(), np.asarray(domains)[scored]
