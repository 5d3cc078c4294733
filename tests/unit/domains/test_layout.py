"""UMAP of an embedding: it keeps clusters apart, repeats itself, and takes what is small or large."""

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from efnst.domains.layout import LEAST_SPOTS, sampled, umap_layout


@pytest.mark.slow
def test_clusters_stay_apart_and_the_seed_decides() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1, 2], 100)
    embedding = rng.normal(size=(300, 8)) + 8 * np.eye(8)[group]
    layout = umap_layout(embedding, seed=1)
    assert layout.shape == (300, 2) and np.isfinite(layout).all()
    assert silhouette_score(layout, group) > 0.6
    np.testing.assert_array_equal(umap_layout(embedding, seed=1), layout)
    assert (umap_layout(embedding, seed=2) != layout).any()


@pytest.mark.slow
@pytest.mark.parametrize("n_spots", [LEAST_SPOTS, 16])
def test_few_spots_and_equal_spots_are_laid_out(n_spots: int) -> None:
    embedding = np.random.default_rng(0).normal(size=(n_spots, 3))
    assert np.isfinite(umap_layout(embedding, seed=0)).all()
    assert np.isfinite(umap_layout(np.ones((n_spots, 3)), seed=0)).all()


def test_sample_is_of_the_size_asked_for_without_repeats() -> None:
    chosen = sampled(1000, 50, seed=0)
    assert len(set(chosen.tolist())) == 50 and (np.diff(chosen) > 0).all()
    assert sampled(3, 50, seed=0).tolist() == [0, 1, 2]
    assert len(sampled(3, 0, seed=0)) == 0
