"""Which share of each section each domain has."""

from collections.abc import Mapping

import numpy as np
import pandas as pd


def proportion_table(spots: Mapping[str, Mapping[str, int]], common: bool) -> pd.DataFrame:
    """Columns `sample`, `domain`, `n_spots`, `share`; `spots`: of each domain, by sample.

    common: whether a domain is the same in all samples; one that a sample lacks then has a row with 0 spots.
    """
    everywhere = in_order({domain for of_sample in spots.values() for domain in of_sample})
    rows = []
    for sample, of_sample in spots.items():
        total = max(sum(of_sample.values()), 1)
        domains = everywhere if common else in_order(of_sample)
        rows += [(sample, domain, of_sample.get(domain, 0), of_sample.get(domain, 0) / total) for domain in domains]
    return pd.DataFrame(rows, columns=["sample", "domain", "n_spots", "share"])


def in_order(domains: set[str] | Mapping[str, object]) -> list[str]:
    """Names of domains: numbers by their value, then words."""
    return sorted(domains, key=lambda name: (0, int(name), "") if name.isdecimal() else (1, 0, name))


def log_ratios(spots: np.ndarray) -> np.ndarray:
    """Centred log-ratios of the shares of domains (Aitchison 1982), float64 [n_samples, n_domains].

    spots: int [n_samples, n_domains]; half a spot is added to each, since a share of 0 has no logarithm.
    """
    logs = np.log(np.asarray(spots, dtype=np.float64) + 0.5)
    return logs - logs.mean(axis=1, keepdims=True)
