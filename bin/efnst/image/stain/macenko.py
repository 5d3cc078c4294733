"""Stains as directions in the space of optical densities, in which the density of a pixel is the sum of its stains.

Macenko et al. 2009, A method for normalizing histology slides for quantitative analysis, ISBI.
"""

import numpy as np

from efnst.image.stain.pixels import MIN_SAMPLE_PX, Normaliser, looked_up

MIN_DENSITY = 0.15  # β of Macenko 2009: in paler pixels the direction of the density is noise
EXTREME = 1  # percentile, α of Macenko 2009: stains are where angles are extreme, but for a hundredth of the pixels
STRONG = 99  # percentile of the concentrations by which sections are compared
MIN_ANGLE_DEG = 5  # between the stains; haematoxylin and eosin lie 20° to 45° apart
DENSITY = -np.log10((np.arange(256) + 1) / 256).astype(np.float32)  # of each 8-bit value; 0 for white


def macenko_statistics(pixels: np.ndarray) -> dict | None:
    """The two stains of uint8 pixels [n, 3] after Macenko 2009; None where they are ill-conditioned.

    The densities lie near a plane, spanned by the first two eigenvectors of their covariance; in it the stains are the
    directions at the 1st and 99th percentile of the angles.
    """
    density = DENSITY[pixels]
    dark = density[(density >= MIN_DENSITY).all(axis=1)].astype(float)
    if len(dark) < MIN_SAMPLE_PX // 2:
        return None
    stains, angle_deg = _stains(dark)
    if angle_deg < MIN_ANGLE_DEG or stains.min() < -0.1:
        return None
    concentrations = np.percentile(dark @ np.linalg.pinv(stains), STRONG, axis=0)
    if concentrations.min() <= MIN_DENSITY:
        return None
    return {"stains": stains.round(6).tolist(), "concentrations": concentrations.round(6).tolist()}


def _stains(dark: np.ndarray) -> tuple[np.ndarray, float]:
    """Unit vectors [2, 3] of the stains of optical densities [n, 3], haematoxylin first, and the angle between them."""
    plane = np.linalg.eigh(np.cov(dark.T))[1][:, [2, 1]]
    plane *= np.where(plane.sum(axis=0) < 0, -1, 1)  # densities are positive, so that no angle is near ±180°
    in_plane = dark @ plane
    angles = np.degrees(np.arctan2(in_plane[:, 1], in_plane[:, 0]))
    low, high = np.radians(np.percentile(angles, [EXTREME, 100 - EXTREME]))
    stains = np.array([plane @ (np.cos(angle), np.sin(angle)) for angle in (low, high)])
    stains = stains[np.argsort(-stains[:, 0])]  # haematoxylin is blue: it takes more of the red than eosin
    return stains, float(np.degrees(high - low))


def macenko_normaliser(section: dict, reference: dict) -> Normaliser:
    """Scale the stains of a section and replace their colours by those of the reference.

    What of a density is no mixture of the two stains stays as it is: so all is one matrix, white stays white, and a
    section equal to the reference does not change.
    """
    stains, target = np.array(section["stains"]), np.array(reference["stains"])
    scale = np.array(reference["concentrations"]) / section["concentrations"]
    unmix = np.linalg.pinv(stains)
    matrix = (np.eye(3) + unmix @ (scale[:, None] * target - stains)).astype(np.float32)

    # Densities add up where intensities are multiplied: a table for each channel holds its factors of all three.
    factors = 10 ** -(DENSITY[None, :, None] * matrix[:, None, :])
    factors[0] *= 256

    def normalise(patches: np.ndarray) -> np.ndarray:
        values = looked_up(factors, patches, np.multiply)
        values -= np.float32(0.5)  # less 1, as in DENSITY, plus a half to round
        return values.clip(0, 255, out=values).astype(np.uint8).reshape(patches.shape)

    return normalise
