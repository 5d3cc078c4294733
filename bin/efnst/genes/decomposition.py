"""The leading singular vectors of sparse values that are standardised on the way."""

import numpy as np
from scipy import sparse
from scipy.linalg import eigh

SHORT = 1200  # units or genes: with fewer of either, its products with itself take half the time of the iteration
BLOCK = 16  # vectors at once: products of dense matrices take a fraction of the time of as many with a sparse one
CHECKED = 4  # blocks after which it is looked whether the vectors are found
TOLERANCE = 1e-4  # of a residual, relative to the squared singular value: vectors then differ by 1e-5 from exact ones
LEAST = 1e-2  # of the largest squared singular value: for smaller ones this stands in the tolerance
ROWS_AT_ONCE = 2_000  # in double precision
ROUNDING = 1e-4  # of a product: a vector of which no more than this is new is left by rounding


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
        centre = (mean * one_over_deviation).astype(dense.dtype)
        np.subtract(dense, centre, out=dense, where=(strata == stratum)[:, None])
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
    """Of a large one: of what a space that holds them makes of it, in double precision."""
    space = np.linalg.qr(_krylov_space(values, n_components, seed).astype(np.float64))[0]
    starts = range(0, len(values), ROWS_AT_ONCE)
    products = sum(space[at : at + ROWS_AT_ONCE].T @ values[at : at + ROWS_AT_ONCE] for at in starts)
    turns, sizes, right = np.linalg.svd(products, full_matrices=False)
    return space @ turns[:, :n_components], sizes[:n_components], right[:n_components]


def _krylov_space(values: np.ndarray, n_components: int, seed: int) -> np.ndarray:
    """Orthonormal columns [n_rows, k] that hold the leading left vectors; k is twice as many where there are as many.

    By block Lanczos iteration with full orthogonalisation (Golub and Underwood 1977), until the leading vectors have
    no more than `TOLERANCE` outside.
    """
    n_rows, n_columns = values.shape
    basis, products = np.empty((n_rows, 0), values.dtype), np.empty((0, n_columns))
    gram, is_found = np.empty((0, 0)), False
    start = np.random.default_rng(seed).standard_normal((n_columns, BLOCK), values.dtype)
    block = np.linalg.qr(values @ start)[0]
    while not is_found:
        product = block.T @ values
        basis, products = np.hstack([basis, block]), np.vstack([products, product])
        across = products @ products[-len(product) :].T
        gram = np.vstack([np.hstack([gram, across[: len(gram)]]), across.T])
        following = values @ product.T
        block, remains = np.linalg.qr(_without(following, basis))
        is_new = np.abs(np.diag(remains)) > ROUNDING * np.linalg.norm(following)
        block, turned = np.linalg.qr(_without(block[:, is_new], basis))  # again, for what rounding left of the basis
        block = block[:, : n_rows - len(gram)]
        is_all = block.shape[1] == 0
        if is_all or (len(gram) > n_components and len(gram) % (CHECKED * BLOCK) == 0):
            squares, turns = eigh(gram, subset_by_index=(max(len(gram) - 2 * n_components, 0), len(gram) - 1))
            squares, leading = squares[-n_components:], turns[-len(product) :, -n_components:]
            residuals = np.linalg.norm(turned @ remains[is_new] @ leading, axis=0)
            is_found = is_all or (residuals <= TOLERANCE * np.maximum(squares, LEAST * squares[-1])).all()
    return basis @ turns


def _without(vectors: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Vectors [n, m] less their part in an orthonormal basis [n, k]."""
    return vectors - basis @ (basis.T @ vectors)
