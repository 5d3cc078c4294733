"""Tissue that a reference does not have, and the verdict on a section."""

import numpy as np

from efnst.domains.refinement import refine
from efnst.records.reference import MANY_MISSING, ReferenceFit

NOVEL_P = 0.01  # known tissue lies as far from all domains in fewer than so many of the units
LIMITS = {  # what is looked at: beyond which value warn and fail begin, and what is said
    "novel": (0.1, 0.5, "{:.0%} of the units are unlike all tissue of the reference"),
    "missing_genes": (MANY_MISSING, 0.3, "{:.0%} of the genes of the reference are not measured"),
}
SHALLOW = (0.3, 0.1)  # depth, of the reference's, below which warn and fail begin


def novel_units(p_values: np.ndarray, positions: np.ndarray, rounds: int) -> np.ndarray:
    """bool [n_units]: whether a unit and its neighbours are unlike known tissue, as new tissue is contiguous."""
    return refine((p_values < NOVEL_P).astype(int), positions, rounds).astype(bool)


def judged(fit: ReferenceFit, novel: float) -> ReferenceFit:
    """`fit` with the share of novel units and the verdict: pass, warn or fail, and why."""
    values = {"novel": novel, "missing_genes": fit.missing_genes}
    levels, reasons = [0], []
    for name, (warn, fail, text) in LIMITS.items():
        levels.append(int(values[name] > warn) + int(values[name] > fail))
        reasons += [text.format(values[name])] if levels[-1] else []
    levels.append(sum(fit.depth < limit for limit in SHALLOW))
    reasons += (
        [f"half of the units have {fit.depth:.0%} of the counts of the reference's or fewer"] if levels[-1] else []
    )
    return fit.changed(novel=novel, verdict=("pass", "warn", "fail")[max(levels)], reasons=reasons)
