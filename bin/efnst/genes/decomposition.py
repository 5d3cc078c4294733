"""The leading singular vectors of sparse values that are standardised on the way, so that they stay sparse."""

import numpy as np
from scipy import sparse
from scipy.linalg import eigh
from scipy.sparse.linalg import LinearOperator, svds

TOLERANCE = 1e-4  # of a singular value, relative; components then differ by 1e-6 from the exact ones
DENSE = 1200  # units or genes: with fewer of either, products of the dense matrix take half the time of the iteration


def leading_vectors(
    values: sparse.csr_array, moments: np.ndarray, strata: np.ndarray, n_components: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left vectors [n_units, k], singular values [k] falling, right vectors [k, n_columns]; k ≤ `n_components`.

    They are those of (`values` - mean) / deviation with `moments` [n_strata, 2, n_columns], mean and one over the
    deviation, of the stratum `strata` int [n_units] that a unit is of. Signs are not fixed.
    """
    scaled = values.astype(np.float64)
    scaled.data *= moments[:, 1][np.repeat(strata, np.diff(scaled.indptr)), scaled.indices]
    centre = moments[:, 0] * moments[:, 1]
    n_components = min(n_components, min(values.shape) - 1)
    if min(values.shape) <= DENSE:
        return _of_dense(scaled.toarray() - centre[strata], n_components)
    return _of_sparse(scaled, centre, strata, n_components, seed)


def _of_dense(values: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of a matrix of which one side is short, by the eigenvectors of its products with itself."""
    if values.shape[0] < values.shape[1]:
        right, sizes, left = _of_dense(values.T, n_components)
        return left.T, sizes, right.T
    n = values.shape[1]
    found = eigh(values.T @ values, subset_by_index=(n - n_components, n - 1))[1]
    left, sizes, turned = np.linalg.svd(values @ found, full_matrices=False)
    return left, sizes, turned @ found.T


def _of_sparse(
    scaled: sparse.csr_array, centre: np.ndarray, strata: np.ndarray, n_components: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of a large one by ARPACK; `centre` [n_strata, n_columns] is taken off in each product."""
    transposed = scaled.T

    def times(v: np.ndarray) -> np.ndarray:
        return scaled @ v.ravel() - (centre @ v.ravel())[strata]

    def transposed_times(v: np.ndarray) -> np.ndarray:
        return transposed @ v.ravel() - np.bincount(strata, v.ravel(), len(centre)) @ centre

    operator = LinearOperator(scaled.shape, matvec=times, rmatvec=transposed_times, dtype=np.float64)
    start = np.random.default_rng(seed).standard_normal(min(scaled.shape))
    left, sizes, right = svds(operator, n_components, v0=start, tol=TOLERANCE, solver="arpack")
    order = np.argsort(-sizes)
    return left[:, order], sizes[order], right[order]
