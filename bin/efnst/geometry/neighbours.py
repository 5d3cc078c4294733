"""Which spots lie beside which: sparse graphs over the spots' positions. No N×N array is ever made.

`scanpy.pp.neighbors` is for embeddings: it has no rule for the ties of a grid and computes UMAP's weights besides, for
27 s of CPU on a section where this takes 0.5 (bench/scverse.py).
"""

from functools import lru_cache

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

NEAREST = 6  # as many spots of Visium lie beside each


def nearest_neighbours(positions: np.ndarray, k: int) -> np.ndarray:
    """Indices of the `k` nearest other spots of each spot, int [n_spots, min(k, n_spots - 1)], nearest first.

    Ties are broken by index, so that the result does not depend on how the tree was built. The array is read-only: the
    last ones are remembered, since a step asks for the same again and again.
    """
    positions = np.ascontiguousarray(positions, float)
    k = min(k, len(positions) - 1)
    return _nearest(positions.tobytes(), positions.shape, k) if k > 0 else np.empty((len(positions), 0), int)


@lru_cache(maxsize=4)
def _nearest(values: bytes, shape: tuple[int, int], k: int) -> np.ndarray:
    """`nearest_neighbours` of positions given as their bytes."""
    positions = np.frombuffer(values).reshape(shape)
    n_spots = len(positions)
    # A few more than asked for, so that all spots at the distance of the last one can be ranked by index.
    distance, index = cKDTree(positions).query(positions, min(k + 9, n_spots))
    distance = np.where(index == np.arange(n_spots)[:, None], -1.0, np.round(distance, 6))
    order = np.lexsort((index, distance), axis=1)
    nearest = np.take_along_axis(index, order[:, 1 : k + 1], 1)
    nearest.flags.writeable = False
    return nearest


def neighbour_graph(positions: np.ndarray, k: int) -> sparse.csr_array:
    """Symmetric 0/1 graph in which each spot is joined to its `k` nearest spots; no self loops."""
    n_spots = len(positions)
    neighbours = nearest_neighbours(positions, k)
    rows = np.repeat(np.arange(n_spots), neighbours.shape[1])
    graph = sparse.coo_array((np.ones(rows.size, np.float32), (rows, neighbours.ravel())), (n_spots, n_spots)).tocsr()
    return graph.maximum(graph.T).tocsr()


def pairs_within(positions: np.ndarray, radius: float) -> np.ndarray:
    """Pairs of different spots closer than `radius`, in both directions, int [2, n_pairs], by row, then column."""
    pairs = cKDTree(positions).query_pairs(np.nextafter(radius, 0), output_type="ndarray").T
    both = np.hstack([pairs, pairs[::-1]])
    return both[:, np.lexsort((both[1], both[0]))]


def pairs_between(positions: np.ndarray, inner: float, outer: float) -> np.ndarray:
    """Pairs of different spots at a distance from `inner` to below `outer`, as of `pairs_within`."""
    pairs = pairs_within(positions, outer)
    distance = np.linalg.norm(positions[pairs[0]] - positions[pairs[1]], axis=1)
    return pairs[:, distance >= inner]


def graph_of_pairs(pairs: np.ndarray, n_spots: int) -> sparse.csr_array:
    """0/1 graph [n_spots, n_spots] of `pairs` int [2, n_pairs]."""
    return sparse.coo_array((np.ones(pairs.shape[1], np.float32), pairs), (n_spots, n_spots)).tocsr()


def laplacian(graph: sparse.csr_array) -> sparse.csr_array:
    """L = D - A of a symmetric graph with non-negative weights."""
    return (sparse.diags_array(np.asarray(graph.sum(1)).ravel()) - graph).tocsr()
