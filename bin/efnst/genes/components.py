"""Principal components of dense features, and the ways they are scaled."""

import numpy as np


def dense_components(values: np.ndarray, n_components: int) -> np.ndarray:
    """Principal component scores of dense columns, float32 [n_spots, ≤ min(n_components, n_spots - 1, n_columns)].

    What scikit-learn's PCA gives, signs included (the largest weight of each component is positive); to import it takes
    longer than to learn from a small section.
    """
    mean, weights = dense_loadings(values, n_components)
    return ((values - mean) @ weights).astype(np.float32)


def dense_loadings(values: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """What the same are made with, float64: (values - mean [n_columns]) @ weights [n_columns, n_components]."""
    n_components = min(n_components, values.shape[0] - 1, values.shape[1])
    mean = values.mean(0, dtype=np.float64)
    centred = values - mean
    _, vectors = np.linalg.eigh(centred.T @ centred)
    weights = vectors[:, ::-1][:, :n_components]
    return mean, weights * largest_signs(weights)


def largest_signs(columns: np.ndarray) -> np.ndarray:
    """1 or -1, the sign of the largest entry of each column, which fixes that of a component; 1 for zeros."""
    return np.where(columns[np.abs(columns).argmax(0), np.arange(columns.shape[1])] < 0, -1, 1)


def unit_scale(components: np.ndarray) -> np.ndarray:
    """Components divided by the standard deviation of the first one, so that their proportions stay."""
    return (components / first_deviation(components)).astype(np.float32)


def first_deviation(components: np.ndarray) -> float:
    """The standard deviation of the first component."""
    return max(float(components[:, 0].std()), 1e-12)


def widest_to_one(values: np.ndarray) -> np.ndarray:
    """All columns divided by the largest standard deviation among them."""
    return values / max(float(values.std(0).max()), 1e-12)
