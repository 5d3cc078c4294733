"""Sections that a cohort has under several names."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

LEAST_GENES = 50  # with counts; totals of fewer may be the same by chance


def same_counts(sums: Mapping[str, pd.DataFrame]) -> dict[str, list[str]]:
    """Samples that are one section, by what the user should know of them: the totals of all genes are the same.

    Wherever and in whatever form each was read. `sums`: counts of each domain by sample (`read_sums`).
    """
    samples: dict[bytes, list[str]] = {}
    for sample, table in sums.items():
        totals = np.sort(table.to_numpy(np.float64).sum(axis=1))
        if (counted := totals[totals > 0]).size >= LEAST_GENES:
            samples.setdefault(counted.tobytes(), []).append(sample)
    return {_in_words(names): names for names in samples.values() if len(names) > 1}


def _in_words(samples: list[str]) -> str:
    """What the user should know of samples with the same counts."""
    return (
        f"{' and '.join(samples)} have the same counts: one section, which counts as {len(samples)} samples. Leave one "
        "out, unless that is meant."
    )
