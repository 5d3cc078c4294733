"""Expression features: normalisation, choice of genes and principal components, on sparse matrices throughout."""

import numpy as np
from scipy import sparse

from efnst.genes.components import largest_signs
from efnst.genes.decomposition import leading_vectors
from efnst.geometry.neighbours import laplacian

GENES_AT_ONCE = 200  # few, since each block is copied several times


def log_normalise(counts: sparse.csr_array, totals: np.ndarray | None = None) -> sparse.csr_array:
    """log(1 + counts · median total / total) of each spot, float32 [n_spots, n_genes]; the median is of totals above 0.

    `totals` [n_spots] are given where `counts` are those of some genes only.
    What scanpy's `normalize_total` and `log1p` give, to 1e-7 of the largest value. They are not called since to import
    scanpy takes 7 s of CPU and 0.3 GB, in three steps that need no other function of it (bench/scverse.py).
    """
    totals = np.asarray(counts.sum(1)).ravel() if totals is None else totals
    factor = np.median(totals[totals > 0]) / np.maximum(totals, 1e-12) if totals.any() else np.zeros(len(totals))
    scaled = sparse.csr_array(sparse.diags_array(factor) @ counts, dtype=np.float32)
    scaled.data = np.log1p(scaled.data)
    return scaled


def gene_morans_i(values: sparse.csr_array | sparse.csc_array, graph: sparse.csr_array) -> np.ndarray:
    """Moran's I of each gene over a symmetric graph, [n_genes]; 0 for a constant gene or a graph without edges.

    I = N / W · Σ_ij w_ij z_i z_j / Σ_i z_i², z = x - mean (Moran 1950). With the Laplacian L = D - A,
    Σ_ij w_ij z_i z_j = Σ_i d_i z_i² - zᵀLz, and zᵀLz = xᵀLx, so that z never has to be formed.

    The learning step chooses its genes by it, so that the report uses the same. `scanpy.metrics.morans_i` agrees to
    3e-13 and takes 108 s of CPU where this takes 27, on 50,000 spots × 18,000 genes (bench/scverse.py).
    """
    degree = np.asarray(graph.sum(1)).ravel().astype(float)
    operator = laplacian(graph).tocsc().astype(np.float64)  # with columns of genes no product changes its format
    values = values.tocsc()
    if values.shape[1] == 0 or degree.sum() == 0:
        return np.zeros(values.shape[1])
    return np.concatenate(
        [
            _morans_i(values[:, first : first + GENES_AT_ONCE].astype(np.float64), operator, degree)
            for first in range(0, values.shape[1], GENES_AT_ONCE)
        ]
    )


def _morans_i(x: sparse.csc_array, operator: sparse.csc_array, degree: np.ndarray) -> np.ndarray:
    """Moran's I of the columns of `x`."""
    n_spots = x.shape[0]
    squared = x.multiply(x)
    mean = np.asarray(x.sum(0)).ravel() / n_spots
    variation = np.asarray(squared.sum(0)).ravel() - n_spots * mean**2
    weighted = degree @ squared - 2 * mean * (degree @ x) + mean**2 * degree.sum()
    roughness = np.asarray(x.multiply(operator @ x).sum(0)).ravel()
    constant = variation <= 1e-12 * np.maximum(np.asarray(squared.sum(0)).ravel(), 1e-300)
    index = n_spots / degree.sum() * (weighted - roughness) / np.where(constant, 1, variation)
    return np.where(constant, 0, index)


def spatially_variable_genes(
    values: sparse.csr_array, graph: sparse.csr_array, n_genes: int, min_spots: int
) -> np.ndarray:
    """Indices of the `n_genes` genes with the largest Moran's I, largest first, of those seen in `min_spots` spots."""
    seen = np.bincount(values.indices, minlength=values.shape[1])
    candidates = np.flatnonzero(seen >= min_spots)
    index = gene_morans_i(values.tocsc()[:, candidates], graph)
    return candidates[np.argsort(-index, kind="stable")[:n_genes]]


def principal_components(values: sparse.csr_array, n_components: int, seed: int) -> np.ndarray:
    """Principal component scores of the centred and scaled columns, float32 [n_spots, ≤ n_components].

    The sign of a component is fixed by its largest entry. Constant columns are left out. scanpy's `scale` and
    `pca` take 10 s of CPU on a section where this takes 1.5 (bench/scverse.py).
    """
    mean, std = _mean_std(values)
    values, mean, std = values[:, std > 0], mean[std > 0], std[std > 0]
    if min(n_components, min(values.shape) - 1) < 1:
        raise ValueError(f"Expected at least 2 spots and 2 varying genes, found {values.shape}.")
    one_stratum = np.zeros(values.shape[0], int)
    left, sizes, _ = leading_vectors(values, np.stack([mean, 1 / std])[None], one_stratum, n_components, seed)
    scores = left * sizes
    return (scores * largest_signs(scores)).astype(np.float32)


def _mean_std(values: sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the columns of a sparse matrix."""
    n_spots = values.shape[0]
    mean = np.asarray(values.sum(0)).ravel() / n_spots
    square = np.asarray(values.multiply(values).sum(0)).ravel() / n_spots
    variance = square - mean**2
    return mean, np.sqrt(np.where(variance > 1e-10 * np.maximum(square, 1e-300), variance, 0))
