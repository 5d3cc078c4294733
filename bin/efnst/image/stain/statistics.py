"""The stains of a section in numbers, and the reference that a cohort makes of them."""

import numpy as np

from efnst.image.stain.macenko import macenko_statistics
from efnst.image.stain.pixels import MIN_SAMPLE_PX
from efnst.image.stain.reinhard import reinhard_statistics

METHODS = ("none", "macenko", "reinhard")


def stain_statistics(pixels: np.ndarray) -> tuple[dict | None, list[str]]:
    """Statistics of the stains from a sample uint8 [n, 3] of a section's tissue, and warnings.

    `macenko`: `stains` [2][3], unit vectors in optical density, haematoxylin first, and `concentrations` [2], the
    99th percentile of each; `reinhard`: `mean` [3] and `sd` [3] of L*a*b*. None where they cannot be determined.
    """
    if len(pixels) < MIN_SAMPLE_PX:
        return None, [f"Too little tissue for the stains: {len(pixels)} px of the sample, {MIN_SAMPLE_PX} are needed."]
    found = {"n_px": len(pixels), "macenko": macenko_statistics(pixels), "reinhard": reinhard_statistics(pixels)}
    warnings = [
        f"The tissue does not show two distinguishable stains: no {method} statistics."
        for method in METHODS[1:]
        if found[method] is None
    ]
    return found, warnings


def fit_reference(sections: list[dict | None]) -> dict:
    """The reference of a cohort: the median of the statistics of its sections, stains as unit vectors again."""
    reference = {"n_sections": len(sections)}
    for method in METHODS[1:]:
        found = [section[method] for section in sections if section and section[method]]
        names = found[0] if found else []
        reference[method] = {name: np.median([one[name] for one in found], axis=0) for name in names} or None
    if reference["macenko"]:
        stains = reference["macenko"]["stains"]
        reference["macenko"]["stains"] = stains / np.linalg.norm(stains, axis=1, keepdims=True)
    return {
        name: {key: array.round(6).tolist() for key, array in value.items()} if isinstance(value, dict) else value
        for name, value in reference.items()
    }
