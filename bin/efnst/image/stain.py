"""Stains of H&E sections: their statistics, a reference for the cohort, and patches brought to that reference.

Colours are compared in two spaces. Macenko (2009, A method for normalizing histology slides for quantitative analysis,
ISBI): the optical density of a pixel is the sum of its stains, each a direction in the space of densities. Reinhard
(2001, Color transfer between images, IEEE CG&A 21): mean and standard deviation of each channel of a space whose
channels vary independently, here L*a*b* (CIE 1976, D65) as in most programs for histology.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from efnst.errors import EfnstError, check_choice
from efnst.program.cli import read_json

METHODS = ("none", "macenko", "reinhard")
MIN_SAMPLE_PX = 1000  # of tissue; fewer say nothing of a section
MIN_DENSITY = 0.15  # β of Macenko 2009: in paler pixels the direction of the density is noise
EXTREME = 1  # percentile, α of Macenko 2009: stains are where angles are extreme, but for a hundredth of the pixels
STRONG = 99  # percentile of the concentrations by which sections are compared
MIN_ANGLE_DEG = 5  # between the stains; haematoxylin and eosin lie 20° to 45° apart
MIN_SPREAD = 0.5  # standard deviation of a channel of L*a*b*; a section of one colour has less
FADE = (
    195,
    235,
)  # Reinhard moves pixels fully below the first value of their darkest channel, not at all above the other
N_LEVELS = 2**16  # of the tables of the transfer functions, far finer than 8 bits
DENSITY = -np.log10((np.arange(256) + 1) / 256).astype(np.float32)  # of each 8-bit value; 0 for white
TO_XYZ = np.array(  # linear sRGB to X, Y, Z relative to the white of D65 (IEC 61966-2-1), so that white is 1, 1, 1
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
) / np.array([[0.95047], [1.0], [1.08883]])
KNEE = 6 / 29  # of the root of CIE 1976, which is straight below
TO_LAB = np.array([[0, 116, 0], [500, -500, 0], [0, 200, -200]])  # from the roots of X, Y and Z ...
OFFSET = np.array([16, 0, 0], np.float32)  # ... to L*, a*, b* with this added
Normaliser = Callable[[np.ndarray], np.ndarray]


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


def macenko_statistics(pixels: np.ndarray) -> dict | None:
    """The two stains of uint8 pixels [n, 3] after Macenko 2009; None where they are ill-conditioned.

    The densities lie near a plane, spanned by the first two eigenvectors of their covariance; in it the stains are the
    directions at the 1st and 99th percentile of the angles.
    """
    density = DENSITY[pixels]
    dark = density[(density >= MIN_DENSITY).all(axis=1)].astype(float)
    if len(dark) < MIN_SAMPLE_PX // 2:
        return None
    plane = np.linalg.eigh(np.cov(dark.T))[1][:, [2, 1]]
    plane *= np.where(plane.sum(axis=0) < 0, -1, 1)  # densities are positive, so that no angle is near ±180°
    in_plane = dark @ plane
    low, high = np.radians(
        np.percentile(np.degrees(np.arctan2(in_plane[:, 1], in_plane[:, 0])), [EXTREME, 100 - EXTREME])
    )
    stains = np.array([plane @ (np.cos(angle), np.sin(angle)) for angle in (low, high)])
    stains = stains[np.argsort(-stains[:, 0])]  # haematoxylin is blue: it takes more of the red than eosin
    if np.degrees(high - low) < MIN_ANGLE_DEG or stains.min() < -0.1:
        return None
    concentrations = np.percentile(dark @ np.linalg.pinv(stains), STRONG, axis=0)
    if concentrations.min() <= MIN_DENSITY:
        return None
    return {"stains": stains.round(6).tolist(), "concentrations": concentrations.round(6).tolist()}


def reinhard_statistics(pixels: np.ndarray) -> dict | None:
    """Mean and standard deviation of L*a*b* of uint8 pixels [n, 3]; None where there is only one colour."""
    colours = lab(pixels).astype(float)
    mean, sd = colours.mean(axis=0), colours.std(axis=0)
    if sd.min() < MIN_SPREAD:
        return None
    return {"mean": mean.round(4).tolist(), "sd": sd.round(4).tolist()}


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


def normaliser(method: str, section: dict | None, reference: dict) -> Normaliser | None:
    """A function that brings uint8 patches [..., 3] of a section to the reference of the cohort.

    None for the method `none`, and where section or reference has no statistics.
    """
    if method == "none" or not section or not section[method] or not reference[method]:
        return None
    kind = {"macenko": macenko_normaliser, "reinhard": reinhard_normaliser}[method]
    return kind(section[method], reference[method])


def read_normaliser(method: str, image_qc: Path | None, reference: Path | None) -> Normaliser | None:
    """`normaliser` from image_qc.json and stain_reference.json, which only the method `none` does without."""
    check_choice("stain_normalisation", method, METHODS)
    if method == "none":
        return None
    if image_qc is None or reference is None:
        raise EfnstError(
            f"Expected image_qc.json and stain_reference.json for the stain normalisation `{method}`, found "
            f"{'neither' if image_qc is reference else 'one of them'}. Give --stain and --stain_reference."
        )
    return normaliser(method, read_json(image_qc)["stain"], read_json(reference))


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
        values = _looked_up(factors, patches, np.multiply)
        values -= np.float32(0.5)  # less 1, as in DENSITY, plus a half to round
        return values.clip(0, 255, out=values).astype(np.uint8).reshape(patches.shape)

    return normalise


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
        roots = _roots(patches)
        darkest = patches.reshape(-1, 3).min(axis=1, keepdims=True).astype(np.float32)
        part = ((FADE[1] - darkest) / (FADE[1] - FADE[0])).clip(0, 1)
        roots += part * (roots @ matrix + move)
        return _from_roots(roots).reshape(patches.shape)

    return normalise


def lab(pixels: np.ndarray) -> np.ndarray:
    """L*a*b* float32 [..., 3] of uint8 sRGB pixels [..., 3]."""
    colours = _roots(pixels) @ TO_LAB.T.astype(np.float32) - OFFSET
    return colours.reshape(pixels.shape)


def _roots(pixels: np.ndarray) -> np.ndarray:
    """f of X, Y and Z relative to white, float32 [n, 3], of uint8 sRGB pixels [..., 3]."""
    relative = _looked_up(XYZ_PARTS, pixels, np.add)
    return ROOT.take((relative * np.float32(N_LEVELS - 1) + np.float32(0.5)).astype(np.uint16))


def _from_roots(roots: np.ndarray) -> np.ndarray:
    """uint8 sRGB pixels [n, 3] of f of X, Y and Z; what no screen shows is cut off."""
    relative = roots * roots * roots
    is_dark = roots < KNEE
    if is_dark.any():
        relative[is_dark] = (roots[is_dark] - 4 / 29) * (3 * KNEE**2)
    linear = relative @ np.linalg.inv(TO_XYZ).T.astype(np.float32)
    linear = linear.clip(0, 1, out=linear) * np.float32(N_LEVELS - 1) + np.float32(0.5)
    return ENCODED.take(linear.astype(np.uint16))


def _looked_up(tables: np.ndarray, pixels: np.ndarray, join: np.ufunc) -> np.ndarray:
    """The rows of `tables` float32 [3, 256, 3] for the red, green and blue of uint8 pixels [..., 3], joined: [n, 3]."""
    red, green, blue = pixels.reshape(-1, 3).T
    rows = tables[0].take(red, axis=0)
    for table, channel in zip(tables[1:], (green, blue), strict=True):
        join(rows, table.take(channel, axis=0), out=rows)
    return rows


def _linear(encoded: np.ndarray) -> np.ndarray:
    """Linear intensity of sRGB values 0 to 1."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def _encoded(linear: np.ndarray) -> np.ndarray:
    """sRGB values 0 to 1 of linear intensities."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def _root(relative: np.ndarray) -> np.ndarray:
    """f of CIE 1976: the cube root, straight near black."""
    return np.where(relative > KNEE**3, np.cbrt(relative), relative / (3 * KNEE**2) + 4 / 29)


XYZ_PARTS = (_linear(np.arange(256) / 255)[None, :, None] * TO_XYZ.T[:, None, :]).astype(np.float32)
ROOT = _root(np.linspace(0, 1, N_LEVELS)).astype(np.float32)
ENCODED = np.rint(255 * _encoded(np.linspace(0, 1, N_LEVELS))).astype(np.uint8)
