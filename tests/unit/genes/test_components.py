"""Principal components and their scales."""

import numpy as np
from sklearn.decomposition import PCA

from efnst.genes.components import dense_components, unit_scale, widest_to_one


def test_dense_components_equal_the_svd() -> None:
    values = np.random.default_rng(0).standard_normal((30, 8)) * np.arange(1, 9)
    u, s, _ = np.linalg.svd(values - values.mean(0), full_matrices=False)
    found = dense_components(values.astype(np.float32), 3)
    assert found.dtype == np.float32
    assert np.allclose(np.abs(found), np.abs(u[:, :3] * s[:3]), atol=1e-3)


def test_dense_components_are_those_of_scikit_learn_with_their_signs() -> None:
    rng = np.random.default_rng(1)
    for shape in ((200, 40), (30, 40)):
        values = rng.standard_normal(shape) @ rng.standard_normal((40, 40)) + 5
        theirs = PCA(25, svd_solver="covariance_eigh").fit_transform(values)
        np.testing.assert_allclose(dense_components(values, 25), theirs, rtol=1e-4, atol=1e-4)


def test_scales_by_hand() -> None:
    values = np.array([[2.0, 1.0], [-2.0, 1.0]])
    assert unit_scale(values).tolist() == [[1.0, 0.5], [-1.0, 0.5]]
    assert widest_to_one(4 * values).tolist() == [[1.0, 0.5], [-1.0, 0.5]]
