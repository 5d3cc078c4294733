"""Image features as the learning step takes them: those of patches, and how they tell the spots."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from efnst.records.arrays import BETWEEN

ALL = slice(None)  # spots


@dataclass(frozen=True)
class ImageFeatures:
    """`values` float32 [n_patches, n_features] of patches `patch_um` wide.

    `weights` CSR [n_spots, n_patches] tell the spots where patches lie on a lattice; None where each spot has its own.
    """

    values: np.ndarray
    patch_um: tuple[float, ...] = (190.0,)
    weights: sparse.csr_array | None = None

    @property
    def n_features(self) -> int:
        """Features of a patch."""
        return self.values.shape[1]

    def at(self, spots: np.ndarray | slice) -> np.ndarray:
        """The features at some of the spots, float32 [n, n_features]."""
        return self._told(self.values, spots)

    def of(self, spots: np.ndarray) -> "ImageFeatures":
        """The same of some of the spots."""
        if self.weights is None:
            return replace(self, values=self.values[spots])
        return replace(self, weights=self.weights[spots])

    def mapped(self, weights: np.ndarray, offset: np.ndarray, spots: np.ndarray | slice) -> np.ndarray:
        """features @ `weights` [n_features, n] + `offset` [n] at some of the spots, float32 [n_spots, n].

        Where patches lie on a lattice they are mapped there: there are fewer of them.
        """
        return self._told((self.values @ weights + offset).astype(np.float32), spots)

    def _told(self, values: np.ndarray, spots: np.ndarray | slice) -> np.ndarray:
        """What `values` [n_patches, ·] tell of some of the spots."""
        return values[spots] if self.weights is None else (self.weights[spots] @ values).astype(np.float32)


def image_features(arrays: Mapping[str, np.ndarray], n_spots: int) -> ImageFeatures | None:
    """The features among the `arrays` of features.npz; None where there are none."""
    if "features" not in arrays:
        return None
    values, weights = arrays["features"], None
    if BETWEEN[0].name in arrays:
        parts = tuple(arrays[part.name] for part in BETWEEN)
        weights = sparse.csr_array(parts, shape=(n_spots, len(values)))
    return ImageFeatures(values, tuple(arrays["patch_um"]), weights)
