"""L*a*b* (CIE 1976, D65): a space of colours whose channels vary independently in stained tissue."""

import numpy as np

from efnst.image.stain.pixels import looked_up

N_LEVELS = 2**16  # of the tables of the transfer functions, far finer than 8 bits
TO_XYZ = np.array(  # linear sRGB to X, Y, Z relative to the white of D65 (IEC 61966-2-1), so that white is 1, 1, 1
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
) / np.array([[0.95047], [1.0], [1.08883]])
KNEE = 6 / 29  # of the root of CIE 1976, which is straight below
TO_LAB = np.array([[0, 116, 0], [500, -500, 0], [0, 200, -200]])  # from the roots of X, Y and Z ...
OFFSET = np.array([16, 0, 0], np.float32)  # ... to L*, a*, b* with this added


def lab(pixels: np.ndarray) -> np.ndarray:
    """L*a*b* float32 [..., 3] of uint8 sRGB pixels [..., 3]."""
    colours = roots_of(pixels) @ TO_LAB.T.astype(np.float32) - OFFSET
    return colours.reshape(pixels.shape)


def roots_of(pixels: np.ndarray) -> np.ndarray:
    """f of X, Y and Z relative to white, float32 [n, 3], of uint8 sRGB pixels [..., 3]."""
    relative = looked_up(XYZ_PARTS, pixels, np.add)
    return ROOT.take((relative * np.float32(N_LEVELS - 1) + np.float32(0.5)).astype(np.uint16))


def from_roots(roots: np.ndarray) -> np.ndarray:
    """uint8 sRGB pixels [n, 3] of f of X, Y and Z; what no screen shows is cut off."""
    relative = roots * roots * roots
    is_dark = roots < KNEE
    if is_dark.any():
        relative[is_dark] = (roots[is_dark] - 4 / 29) * (3 * KNEE**2)
    linear = relative @ np.linalg.inv(TO_XYZ).T.astype(np.float32)
    linear = linear.clip(0, 1, out=linear) * np.float32(N_LEVELS - 1) + np.float32(0.5)
    return ENCODED.take(linear.astype(np.uint16))


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
