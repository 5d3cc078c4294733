"""A map of an embedding in two dimensions, for the eye: UMAP of at most so many spots."""

from contextlib import suppress

import numpy as np

from efnst.names import EMBEDDING

N_NEIGHBOURS, MIN_DIST = 15, 0.3
EPOCHS = 200  # more take longer, and move points within their groups
LEAST_SPOTS = 5  # fewer have no shape and no neighbourhoods


def sampled(n_spots: int, n_shown: int, seed: int) -> np.ndarray:
    """`n_shown` of the spots drawn at random, or all where there are no more: int, rising."""
    if n_spots <= n_shown:
        return np.arange(n_spots)
    return np.sort(np.random.default_rng(seed).choice(n_spots, n_shown, replace=False))


def umap_layout(embedding: np.ndarray, seed: int) -> np.ndarray:
    """UMAP of float [n_spots, n_dims] by scanpy, float32 [n_spots, 2]; the same seed gives the same layout.

    Neighbours are exact: all pairs of spots are compared, in little memory, for a sample of bounded size.
    """
    import scanpy  # takes seconds
    from anndata import AnnData

    _keep_compiled()
    space = np.ascontiguousarray(embedding, dtype=np.float32)
    if not np.ptp(space, axis=0).any():  # all spots are the same point
        return np.zeros((len(space), 2), np.float32)
    data = AnnData(obsm={EMBEDDING: space})
    n_neighbours = min(N_NEIGHBOURS, len(space) - 1)
    scanpy.pp.neighbors(data, n_neighbours, use_rep=EMBEDDING, transformer="sklearn", random_state=seed)
    scanpy.tl.umap(data, min_dist=MIN_DIST, maxiter=EPOCHS, random_state=seed)
    return data.obsm["X_umap"].astype(np.float32)


def _keep_compiled() -> None:
    """Keep what numba compiles of UMAP for later processes, which takes longer than the layout of a small section."""
    from umap import layouts, umap_

    functions = umap_.smooth_knn_dist, umap_.compute_membership_strengths
    for function in (*functions, layouts._get_optimize_layout_euclidean_single_epoch_fn(parallel=False)):
        with suppress(RuntimeError):  # numba found no folder for its cache
            function.enable_caching()
