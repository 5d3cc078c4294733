"""From an embedding to domains: Gaussian mixture, k-means, or Leiden at the resolution that gives K domains."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin
from threadpoolctl import threadpool_limits

from efnst.domains.continuity import own_neighbours
from efnst.domains.rare import with_rare_groups
from efnst.domains.spatial_mixture import spatial_probabilities
from efnst.domains.tied_mixture import fit_gaussians, gaussians_of
from efnst.geometry.neighbours import NEAREST, neighbour_graph
from efnst.geometry.units import MANY_UNITS
from efnst.program.spared import spared

with spared("matplotlib"):
    import igraph
    import leidenalg

STARTS = 10
TOGETHER = 0.5  # of the neighbours of a component's spots: where fewer are in it, they are what others leave over
LEIDEN_NEIGHBOURS = 15
LEIDEN_RUNS = 12
FITTED = 8_000  # of sections of more than `units.MANY_UNITS`


@dataclass(frozen=True)
class Clustering:
    """Labels int [n_spots] (0 … n-1), how they were found, and the mixture's probabilities [n_spots, n]."""

    labels: np.ndarray
    how: str
    probabilities: np.ndarray | None = None


def cluster(
    embedding: np.ndarray,
    n_domains: int,
    method: str,
    seed: int,
    positions: np.ndarray | None = None,
    spatial_prior: float = 0.0,
) -> Clustering:
    """Cluster the rows of `embedding` into `n_domains` by `method` (`mixture`, `kmeans` or `leiden`).

    With `positions` [n_spots, 2] the mixture's components prefer neighbouring spots: each of a spot's 6 nearest spots
    adds `spatial_prior` to the logarithm of the odds of its component. `kmeans` and `leiden` have no such prior.
    """
    methods = {"mixture": mixture, "kmeans": kmeans, "leiden": leiden}
    values = np.asarray(embedding, np.float64)
    with threadpool_limits(1):  # the matrices are small: more threads make this 20 times slower
        found = methods[method](values, n_domains, seed)
    return found if positions is None else with_prior(found, values, positions, spatial_prior)


def with_prior(found: Clustering, embedding: np.ndarray, positions: np.ndarray, spatial_prior: float) -> Clustering:
    """A mixture that was `found` in `embedding`, with components that prefer neighbouring spots as `cluster` tells.

    Where a component does not lie together, it is no tissue but spots at the borders of others, and components for
    rare groups are looked for first (rare.py). What was found in another way stays as it is.
    """
    values = np.asarray(embedding, np.float64)
    if found.probabilities is None or not spatial_prior or len(values) < 2:
        return found
    with threadpool_limits(1):
        graph, probabilities, how = neighbour_graph(positions, NEAREST), found.probabilities, found.how
        if own_neighbours(found.labels, graph).min() < TOGETHER:
            seen = fitted(len(values))
            model = with_rare_groups(values[seen], gaussians_of(values[seen], probabilities[seen]))
            probabilities, how = model.probabilities(values), f"{how}, rare groups looked for"
        probabilities = spatial_probabilities(values, probabilities, graph, spatial_prior)
    return Clustering(probabilities.argmax(1), f"{how}, spatial prior {spatial_prior:g}", probabilities)


def mixture(embedding: np.ndarray, n_domains: int, seed: int) -> Clustering:
    """Gaussian mixture with one covariance for all components, best of `STARTS` k-means starts."""
    model = fit_gaussians(embedding[fitted(len(embedding))], n_domains, STARTS, seed)
    probabilities = model.probabilities(embedding)
    how = f"Gaussian mixture, tied covariance, {STARTS} starts"
    return Clustering(probabilities.argmax(1), how, probabilities)


def fitted(n_units: int) -> slice:
    """The units that domains are looked for in: all, or of many some `FITTED`, from all over."""
    return slice(None, None, 1 if n_units <= MANY_UNITS else n_units // FITTED)


def kmeans(embedding: np.ndarray, n_domains: int, seed: int) -> Clustering:
    """k-means, best of `STARTS` starts."""
    model = KMeans(n_domains, n_init=STARTS, random_state=seed).fit(embedding[fitted(len(embedding))])
    return Clustering(model.predict(embedding), f"k-means, {STARTS} starts")


def leiden(embedding: np.ndarray, n_domains: int, seed: int) -> Clustering:
    """Leiden on the 15-nearest-neighbour graph, at a resolution found by bisection that gives `n_domains`.

    Where no resolution tried gives exactly `n_domains`, the smallest partition above it is merged down by joining the
    domain with the closest centres, and `how` says so. Units that it does not see follow the nearest that it does.
    """
    seen = embedding[fitted(len(embedding))]
    labels, how = _leiden_of(seen, n_domains, seed)
    if len(seen) < len(embedding):
        labels = labels[pairwise_distances_argmin(embedding, seen)]
    return Clustering(labels, how)


def _leiden_of(embedding: np.ndarray, n_domains: int, seed: int) -> tuple[np.ndarray, str]:
    """Labels of the units that Leiden sees, and how they were found."""
    labels, resolution = _bisect(_igraph(neighbour_graph(embedding, LEIDEN_NEIGHBOURS)), n_domains, seed)
    found, how = labels.max() + 1, f"Leiden, resolution {resolution:.4g}"
    if found == n_domains:
        return labels, how
    if found < n_domains:
        return labels, f"{how}: {found} domains"
    return _merge(labels, embedding, n_domains), f"{how}: {found} domains, merged to {n_domains}"


def _bisect(graph: igraph.Graph, n_domains: int, seed: int) -> tuple[np.ndarray, float]:
    """The partition into `n_domains` and its resolution; else the smallest one above, else the last one below."""
    low, high, above = 0.0, 2.0, None
    resolution = 1.0
    for _ in range(LEIDEN_RUNS):
        labels = _leiden(graph, resolution, seed)
        found = labels.max() + 1
        if found == n_domains:
            return labels, resolution
        if found > n_domains:
            high, above = resolution, labels
        else:
            low = resolution
            if above is None:
                high = 2 * high
        resolution = (low + high) / 2
    return (labels, resolution) if above is None else (above, high)


def _igraph(graph: sparse.csr_array) -> igraph.Graph:
    """The undirected igraph of a symmetric sparse graph."""
    upper = sparse.triu(graph, 1).tocoo()
    return igraph.Graph(n=graph.shape[0], edges=np.column_stack(upper.coords))


def _leiden(graph: igraph.Graph, resolution: float, seed: int) -> np.ndarray:
    """One Leiden partition, labels by falling size."""
    partition = leidenalg.find_partition(
        graph, leidenalg.RBConfigurationVertexPartition, resolution_parameter=resolution, seed=seed, n_iterations=2
    )
    return np.asarray(partition.membership)


def _merge(labels: np.ndarray, embedding: np.ndarray, n_domains: int) -> np.ndarray:
    """Join the two domains with the closest centres (Ward's cost) until `n_domains` are left."""
    labels = labels.copy()
    while labels.max() + 1 > n_domains:
        sizes = np.bincount(labels)
        centres = np.stack([embedding[labels == label].mean(0) for label in range(len(sizes))])
        squared = ((centres[:, None] - centres[None]) ** 2).sum(2)
        cost = squared * sizes[:, None] * sizes[None] / (sizes[:, None] + sizes[None])
        np.fill_diagonal(cost, np.inf)
        first, second = sorted(np.unravel_index(cost.argmin(), cost.shape))
        labels[labels == second] = first
        labels = np.unique(labels, return_inverse=True)[1]
    return labels
