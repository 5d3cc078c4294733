"""The leading singular vectors of sparse values that are standardised on the way."""

import numpy as np
from scipy import sparse
from scipy.linalg import eigh

SHORT = 1200  # units or genes: with fewer of either, its products with itself take half the time of the iteration
BLOCK = 16  # vectors at once: matrix products, of dense values, take a fraction of the time of as many sparse ones
MOST = 60  # blocks
CHECKED = 4  # blocks after which it is looked whether the vectors are found
TOLERANCE = 1e-4  # of the residual, relative to the squared singular value; vectors then differ by 1e-5 from exact ones
NEW = 0.1  # length of a vector outside of the basis; of less, the rest of which the basis has taken all is left by rounding
LEAST = 1e-2  # of the largest squared singular value: what is smaller need be found no better than this


def leading_vectors(
    values: sparse.csr_array, moments: np.ndarray, strata: np.ndarray, n_components: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left vectors [n_units, k], singular values [k] falling, right vectors [k, n_columns]; k ≤ `n_components`.

    They are those of (`values` - mean) / deviation with `moments` [n_strata, 2, n_columns], mean and one over the
    deviation, of the stratum `strata` int [n_units] that a unit is of. Signs are not fixed. Takes 4 bytes a value,
    8 where a side is `SHORT`.
    """
    n_components = min(n_components, min(values.shape) - 1)
    is_short = min(values.shape) <= SHORT
    scaled = values.astype(np.float64 if is_short else np.float32)
    scaled.data *= moments[:, 1].astype(scaled.dtype)[np.repeat(strata, np.diff(scaled.indptr)), scaled.indices]
    dense = scaled.toarray()
    for stratum, (mean, one_over_deviation) in enumerate(moments):
        dense[strata == stratum] -= (mean * one_over_deviation).astype(dense.dtype)
    return _of_short(dense, n_components) if is_short else _of_large(dense, n_components, seed)


def _of_short(values: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of a matrix of which one side is short, by the eigenvectors of its products with itself."""
    if values.shape[0] < values.shape[1]:
        right, sizes, left = _of_short(values.T, n_components)
        return left.T, sizes, right.T
    n = values.shape[1]
    found = eigh(values.T @ values, subset_by_index=(n - n_components, n - 1))[1]
    left, sizes, turned = np.linalg.svd(values @ found, full_matrices=False)
    return left, sizes, turned @ found.T


def _of_large(values: np.ndarray, n_components: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By block Lanczos iteration with full orthogonalisation (Golub and Underwood 1977), in single precision."""
    n_rows, n_columns = values.shape
    most = min(MOST * BLOCK, n_rows)
    basis, products = np.empty((n_rows, most), np.float32, order="F"), np.empty((most, n_columns))
    gram = np.empty((most, most))
    start = np.random.default_rng(seed).standard_normal((n_columns, BLOCK), np.float32)
    block, end, n_blocks, is_found = np.linalg.qr(values @ start)[0], 0, 0, False
    while not is_found:
        at, end, n_blocks = slice(end, end + block.shape[1]), end + block.shape[1], n_blocks + 1
        basis[:, at] = block
        product = block.T @ values
        products[at] = product
        gram[at, :end] = products[at] @ products[:end].T
        rest = values @ product.T
        block, remains = np.linalg.qr(_without(rest, basis[:, :end]))
        block, turned = np.linalg.qr(_without(block, basis[:, :end]))  # what rounding left of the basis
        remains = turned @ remains
        block = block[:, np.abs(np.diag(turned)) > NEW][:, : most - end]
        is_last = block.shape[1] == 0
        if is_last or (n_blocks % CHECKED == 0 and end > n_components):
            squares, turns = eigh(gram[:end, :end], subset_by_index=(max(end - n_components, 0), end - 1))
            residuals = np.linalg.norm(remains.astype(float) @ turns[at], axis=0)
            is_found = is_last or (residuals <= TOLERANCE * np.maximum(squares, LEAST * squares[-1])).all()
    turns, sizes = turns[:, ::-1], np.sqrt(np.maximum(squares[::-1], 0))
    right = turns.T @ products[:end] / np.maximum(sizes, np.finfo(float).tiny)[:, None]
    return basis[:, :end] @ turns, sizes, right


def _without(vectors: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Vectors [n, m] less their part in an orthonormal basis [n, k]."""
    return vectors - basis @ (basis.T @ vectors)
