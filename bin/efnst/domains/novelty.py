"""Tissue that a reference does not have, and the verdict on a section."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from efnst.domains.refinement import refine
from efnst.records.reference import MANY_MISSING, ReferenceFit

NOVEL_P = 0.01  # known tissue lies as far from all domains in fewer than so many of the units


class Limits(NamedTuple):
    """Beyond which value of a share warn and fail begin, above or below, and what is said of it."""

    warn: float
    fail: float
    said: str

    def level(self, value: float) -> int:
        """0 for pass, 1 for warn, 2 for fail."""
        beyond = (value > limit if self.fail > self.warn else value < limit for limit in (self.warn, self.fail))
        return sum(beyond)


LIMITS = {  # by the field of `ReferenceFit`
    "novel": Limits(0.1, 0.5, "{} of the units are unlike all tissue of the reference"),
    "missing_genes": Limits(MANY_MISSING, 0.3, "{} of the genes of the reference are not measured"),
    "depth": Limits(0.3, 0.1, "half of the units have {} of the counts of the reference's or fewer"),
    "structure": Limits(
        *(0.4, 0.2),
        "along the components of the reference it has {} of the structure of that one's sections: it is other "
        "tissue, or has too few of the regions to tell them apart",
    ),
}


def novelty_of(p_values: np.ndarray, fit: ReferenceFit) -> np.ndarray:
    """How sure units are to be unlike all tissue of the reference, [n_units], from `p_values` [n_units].

    All of a section that lacks the structure of the reference's: next to nothing of what tells the domains apart is in
    it, so that its units lie amid all domains, and far from none.
    """
    foreign = LIMITS["structure"].level(fit.structure) == 2
    return np.ones(len(p_values)) if foreign else 1 - p_values


def novel_units(novelty: np.ndarray, positions: np.ndarray, rounds: int) -> np.ndarray:
    """bool [n_units]: whether a unit and its neighbours are unlike known tissue, as new tissue is contiguous."""
    return refine((novelty > 1 - NOVEL_P).astype(int), positions, rounds).astype(bool)


def judged(fit: ReferenceFit, novel: float) -> ReferenceFit:
    """`fit` with the share of novel units and the verdict: pass, warn or fail, and why."""
    values = fit.changed(novel=novel).plain()
    levels = {name: limits.level(values[name]) for name, limits in LIMITS.items()}
    reasons = [LIMITS[name].said.format(f"{100 * values[name]:.3g}%") for name, level in levels.items() if level]
    return fit.changed(novel=novel, verdict=("pass", "warn", "fail")[max(levels.values())], reasons=reasons)


def without_structure(structure: Mapping[str, float]) -> list[str]:
    """What to say of sections of a cohort that have much less than most of it, by name."""
    usual, limits = float(np.median(list(structure.values()))), LIMITS["structure"]
    shares = {sample: value / max(usual, 1e-12) for sample, value in structure.items()}
    return [
        f"{sample}: its domains may be wrong: along the components of the cohort it has {share:.0%} of the structure "
        "that is usual. It is other tissue, or has too few of the regions to tell them apart"
        for sample, share in shares.items()
        if limits.level(share)
    ]
