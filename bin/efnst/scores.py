"""Agreement of domains with given labels. Labels serve for nothing else."""

import numpy as np
import pandas as pd
from sklearn import metrics

SCORES = {
    "ari": metrics.adjusted_rand_score,
    "ami": metrics.adjusted_mutual_info_score,
    "nmi": metrics.normalized_mutual_info_score,
    "homogeneity": metrics.homogeneity_score,
    "completeness": metrics.completeness_score,
    "v_measure": metrics.v_measure_score,
}


def scored_spots(labels: pd.Series, ignore: list[str]) -> np.ndarray:
    """bool [n_spots]: spots with a label that is not to be ignored."""
    return (labels.notna() & ~labels.isin([*ignore, ""])).to_numpy()


def label_scores(domains: np.ndarray, labels: pd.Series, ignore: list[str]) -> dict[str, float]:
    """Scores of `domains` [n_spots] against `labels` (missing: left out); empty when no spot is labelled."""
    scored = scored_spots(labels, ignore)
    if not scored.any():
        return {}
    truth = labels.astype(str).to_numpy()[scored]
    return {name: float(score(truth, domains[scored])) for name, score in SCORES.items()}
