"""Principal components of dense features, and the ways they are scaled."""

import numpy as np
from sklearn.decomposition import PCA


def dense_components(values: np.ndarray, n_components: int) -> np.ndarray:
    """Principal component scores of dense columns, float32 [n_spots, ≤ min(n_components, n_spots - 1, n_columns)]."""
    n_components = min(n_components, values.shape[0] - 1, values.shape[1])
    pca = PCA(n_components, svd_solver="covariance_eigh")
    return pca.fit_transform(values.astype(np.float64)).astype(np.float32)


def unit_scale(components: np.ndarray) -> np.ndarray:
    """Components divided by the standard deviation of the first one, so that their proportions stay."""
    return (components / first_deviation(components)).astype(np.float32)


def first_deviation(components: np.ndarray) -> float:
    """The standard deviation of the first component."""
    return max(float(components[:, 0].std()), 1e-12)


def widest_to_one(values: np.ndarray) -> np.ndarray:
    """All columns divided by the largest standard deviation among them."""
    return values / max(float(values.std(0).max()), 1e-12)
