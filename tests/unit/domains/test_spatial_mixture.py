"""The mixture with a spatial prior: worked numbers, what it changes, and what it leaves alone."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from efnst.domains.clustering import cluster
from efnst.domains.spatial_mixture import spatial_probabilities
from efnst.geometry.neighbours import neighbour_graph


def stripes(noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values [900, 3], positions on a grid of 30 × 30 and the three stripes they lie in."""
    positions = np.stack(np.meshgrid(np.arange(30.0), np.arange(30.0)), axis=-1).reshape(-1, 2)
    truth = (positions[:, 0] // 10).astype(int)
    values = truth[:, None] * [1.0, 0.5, 0.0] + np.random.default_rng(1).normal(scale=noise, size=(900, 3))
    return values, positions, truth


def test_without_strength_it_is_the_plain_mixture() -> None:
    values, positions, _ = stripes(0.3)
    plain = GaussianMixture(3, covariance_type="tied", tol=1e-9, max_iter=500, random_state=0).fit(values)
    probabilities = plain.predict_proba(values)
    found = spatial_probabilities(values, probabilities, neighbour_graph(positions, 4), 0.0)
    np.testing.assert_allclose(found, probabilities, atol=2e-3)


def test_one_neighbour_multiplies_the_odds() -> None:
    """Two far groups, and between them two spots that the values leave undecided: one has a neighbour in a group."""
    values = np.array([[-1.0]] * 50 + [[1.0]] * 50 + [[0.0], [0.0]])
    values[:100, 0] += np.tile([-0.3, 0.3], 50)
    start = np.repeat([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], [50, 50, 2], axis=0)
    graph = sparse.csr_array(([1.0, 1.0], ([0, 100], [100, 0])), shape=(102, 102))
    found = spatial_probabilities(values, start, graph, 0.7)
    assert found[100, 0] / found[100, 1] == pytest.approx(np.exp(0.7), rel=0.1)
    assert found[101] == pytest.approx([0.5, 0.5], abs=0.02)
    assert found.sum(1) == pytest.approx(1)


def test_speckle_gives_way_to_regions() -> None:
    values, positions, truth = stripes(0.4)
    plain = cluster(values, 3, "mixture", 0)
    spatial = cluster(values, 3, "mixture", 0, positions, 0.3)
    scores = [adjusted_rand_score(truth, found.labels) for found in (plain, spatial)]
    assert scores[1] > scores[0] + 0.15, scores
    assert (spatial.probabilities.argmax(1) == spatial.labels).all()
    assert "0.3" in spatial.how


@pytest.mark.parametrize("method", ["kmeans", "leiden"])
def test_other_methods_know_no_prior(method: str) -> None:
    values, positions, _ = stripes(0.4)
    plain, given = cluster(values, 3, method, 0), cluster(values, 3, method, 0, positions, 0.3)
    assert (plain.labels == given.labels).all()
