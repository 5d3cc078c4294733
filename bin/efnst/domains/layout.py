"""A map of an embedding in two dimensions, for the eye: UMAP of at most so many spots."""

import warnings

import numpy as np
from sklearn.neighbors import NearestNeighbors

N_NEIGHBOURS, MIN_DIST = 15, 0.3
LEAST_SPOTS = 5  # fewer have no shape


def sampled(n_spots: int, n_shown: int, seed: int) -> np.ndarray:
    """`n_shown` of the spots drawn at random, or all where there are no more: int, rising."""
    if n_spots <= n_shown:
        return np.arange(n_spots)
    return np.sort(np.random.default_rng(seed).choice(n_spots, n_shown, replace=False))


def umap_layout(embedding: np.ndarray, seed: int) -> np.ndarray:
    """UMAP (McInnes 2018) of float [n_spots, n_dims], float32 [n_spots, 2]; the same seed gives the same layout.

    Neighbours are searched by comparing all pairs of spots, in little memory: for a sample of bounded size.
    """
    import umap  # takes seconds

    n_neighbours = min(N_NEIGHBOURS, len(embedding) - 1)
    space = np.ascontiguousarray(embedding, dtype=np.float32)
    if not np.ptp(space, axis=0).any():  # all spots are the same point
        return np.zeros((len(space), 2), np.float32)
    distance, index = NearestNeighbors(n_neighbors=n_neighbours, algorithm="brute").fit(space).kneighbors(space)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="precomputed_knn")  # new spots are never placed
        layout = umap.UMAP(
            n_neighbors=n_neighbours,
            min_dist=MIN_DIST,
            init=_two_components(space),
            random_state=seed,
            n_jobs=1,
            precomputed_knn=(index, distance),
        )
        return layout.fit_transform(space).astype(np.float32)


def _two_components(space: np.ndarray) -> np.ndarray:
    """The two principal components of [n_spots, n_dims], where UMAP starts from."""
    centred = space.astype(np.float64) - space.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    start = np.zeros((len(space), 2))
    start[:, : min(2, space.shape[1])] = centred @ axes[:, ::-1][:, :2]
    return start
