"""The mixture with one covariance: scikit-learn's fit, and what it says of units."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from efnst.domains.tied_mixture import fit_gaussians, gaussians_of


def groups(n_groups: int, n_units: int, seed: int = 0) -> np.ndarray:
    """Values [n_units, 6] in overlapping groups whose spread differs between columns, far from the origin."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(scale=2, size=(n_groups, 6))
    values = centres[rng.integers(n_groups, size=n_units)] + rng.normal(size=(n_units, 6)) * [3, 2, 1, 1, 0.5, 0.1]
    return values + 20


@pytest.mark.parametrize("n_components", [1, 2, 5, 9])
@pytest.mark.parametrize("seed", [0, 7])
def test_the_fit_is_that_of_scikit_learn(n_components: int, seed: int) -> None:
    values = groups(5, 400, seed)
    theirs = GaussianMixture(n_components, covariance_type="tied", n_init=3, random_state=seed).fit(values)
    ours = fit_gaussians(values, n_components, 3, seed)
    np.testing.assert_allclose(ours.shares, theirs.weights_, rtol=1e-7)
    np.testing.assert_allclose(ours.means, theirs.means_, rtol=1e-8)
    np.testing.assert_allclose(ours.root @ ours.root.T, theirs.covariances_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.probabilities(values), theirs.predict_proba(values), atol=1e-7)
    assert ours.mean_log_likelihood(values[:50]) == pytest.approx(theirs.score(values[:50]), rel=1e-8)


def test_units_count_by_their_probabilities() -> None:
    values = np.array([[0.0], [2.0], [10.0]])
    found = gaussians_of(values, np.array([[1, 0], [0.5, 0.5], [0, 1]]))
    assert found.shares == pytest.approx([0.5, 0.5])
    assert found.means.ravel() == pytest.approx([1 / 1.5, 11 / 1.5])
    distances = found.squared_distances(values)
    assert np.diff(found.log_odds(values)).ravel() == pytest.approx((distances[:, 0] - distances[:, 1]) / 2)
