"""The training-free baseline's smoothing: principal components diffused over the spots' neighbour graph."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from efnst.neighbours import laplacian


def diffuse(values: np.ndarray, graph: sparse.csr_array, strength: float = 0.5) -> np.ndarray:
    """(I + strength · L)⁻¹ · values, float32 [n_spots, n_columns]; L is the graph's Laplacian."""
    system = sparse.eye_array(graph.shape[0]) + strength * laplacian(graph)
    return splu(system.tocsc().astype(np.float64)).solve(np.asarray(values, np.float64)).astype(np.float32)
