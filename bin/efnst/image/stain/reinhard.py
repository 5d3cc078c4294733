"""Colours brought to the mean and standard deviation of others, channel by channel of L*a*b*.

Reinhard et al. 2001, Color transfer between images, IEEE Computer Graphics and Applications 21; in L*a*b* as in most
programs for histology.
"""

import numpy as np

from efnst.image.stain.lab import OFFSET, TO_LAB, from_roots, lab, roots_of
from efnst.image.stain.pixels import Normaliser

MIN_SPREAD = 0.5  # standard deviation of a channel of L*a*b*; a section of one colour has less
FADE = (195, 235)  # pixels move fully below the first value of their darkest channel, not at all above the other


def reinhard_statistics(pixels: np.ndarray) -> dict | None:
    """Mean and standard deviation of L*a*b* of uint8 pixels [n, 3]; None where there is only one colour."""
    colours = lab(pixels).astype(float)
    mean, sd = colours.mean(axis=0), colours.std(axis=0)
    if sd.min() < MIN_SPREAD:
        return None
    return {"mean": mean.round(4).tolist(), "sd": sd.round(4).tolist()}


def reinhard_normaliser(section: dict, reference: dict) -> Normaliser:
    """Give the colours of the tissue the mean and standard deviation of the reference; glass stays as it is.

    L*a*b* is linear in the roots of X, Y and Z, and so is the change: it is made on these.
    """
    scale = np.array(reference["sd"]) / section["sd"]
    shift = reference["mean"] - scale * section["mean"] + OFFSET * (scale - 1)
    from_lab = np.linalg.inv(TO_LAB).T
    matrix = (TO_LAB.T @ np.diag(scale) @ from_lab - np.eye(3)).astype(np.float32)
    move = (shift @ from_lab).astype(np.float32)

    def normalise(patches: np.ndarray) -> np.ndarray:
        roots = roots_of(patches)
        darkest = patches.reshape(-1, 3).min(axis=1, keepdims=True).astype(np.float32)
        part = ((FADE[1] - darkest) / (FADE[1] - FADE[0])).clip(0, 1)
        roots += part * (roots @ matrix + move)
        return from_roots(roots).reshape(patches.shape)

    return normalise
