"""PAGA of domains."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist

from efnst.domains.connectivity import N_NEIGHBOURS, paga_connectivity


def test_as_counted_one_by_one() -> None:
    """Neighbours that lie in another domain, of those expected if they were drawn at random."""
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(120, 3)) + np.repeat([[0, 0, 0], [1.5, 0, 0], [9, 9, 9]], 40, axis=0)
    codes = np.repeat([0, 1, 2], 40)
    nearest = np.argsort(cdist(embedding, embedding) + 1e9 * np.eye(120), axis=1)[:, :N_NEIGHBOURS]
    between = np.zeros((3, 3))
    for spot in range(120):
        for other in nearest[spot]:
            between[codes[spot], codes[other]] += 1
    edges, sizes = between.sum(axis=1), np.bincount(codes)
    expected = np.zeros((3, 3))
    for a in range(3):
        for b in range(3):
            chance = (edges[a] * sizes[b] + edges[b] * sizes[a]) / 119
            expected[a, b] = min((between[a, b] + between[b, a]) / chance, 1) if a != b else 0
    found = paga_connectivity(embedding, pd.Categorical.from_codes(codes, ["1", "2", "3"]))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found[0, 1] > 0.1 and found[0, 2] == found[1, 2] == 0


def test_a_domain_without_spots_in_the_sample() -> None:
    domains = pd.Categorical(["1"] * 10 + ["3"] * 10, ["1", "2", "3"])
    found = paga_connectivity(np.random.default_rng(0).normal(size=(20, 2)), domains)
    assert found.shape == (3, 3) and not found[1].any() and not found[:, 1].any() and found[0, 2] > 0.5


@pytest.mark.parametrize("domains", [["1"] * 30, ["1", "1", "2", "2"]])
def test_what_has_no_connectivity(domains: list[str]) -> None:
    assert paga_connectivity(np.random.default_rng(0).normal(size=(len(domains), 2)), pd.Categorical(domains)) is None
