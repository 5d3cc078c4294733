"""Leading singular vectors of standardised values, against NumPy's of the dense matrix."""

import numpy as np
import pytest
from scipy import sparse

from efnst.genes import decomposition
from efnst.genes.decomposition import leading_vectors

WAYS = {"short": 10_000, "large": 0}  # the longest side that is short


def sparse_values(n_units: int, n_genes: int) -> sparse.csr_array:
    """Counts of three kinds of units, most of them 0."""
    random = np.random.default_rng(n_units)
    means = random.gamma(0.3, 1, (3, n_genes))
    return sparse.csr_array(random.poisson(means[random.integers(0, 3, n_units)]).astype(np.float32))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("n_units", "n_genes"), [(90, 40), (40, 90)])
@pytest.mark.parametrize("n_strata", [1, 2])
def test_they_are_those_of_the_dense_matrix(
    way: str, n_units: int, n_genes: int, n_strata: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decomposition, "SHORT", WAYS[way])
    values = sparse_values(n_units, n_genes)
    strata = np.arange(n_units) % n_strata
    moments = np.random.default_rng(0).uniform(0.2, 2, (n_strata, 2, n_genes))
    left, sizes, right = leading_vectors(values, moments, strata, 6, 0)
    dense = (values.toarray() - moments[strata, 0]) * moments[strata, 1]
    expected = np.linalg.svd(dense, full_matrices=False)
    assert np.allclose(sizes, expected[1][:6], rtol=1e-6)
    assert np.allclose(np.abs((left * expected[0][:, :6]).sum(0)), 1, atol=1e-5)
    assert np.allclose(np.abs((right * expected[2][:6]).sum(1)), 1, atol=1e-5)
    assert np.allclose((left * sizes).T @ dense, sizes[:, None] ** 2 * right, atol=1e-3)


@pytest.mark.parametrize("way", WAYS)
def test_no_more_than_there_are(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decomposition, "SHORT", WAYS[way])
    moments = np.stack([np.zeros(5), np.ones(5)])[None]
    assert [each.shape for each in leading_vectors(sparse_values(30, 5), moments, np.zeros(30, int), 20, 0)] == [
        (30, 4),
        (4,),
        (4, 5),
    ]


@pytest.mark.parametrize("rank", [0, 3])
def test_the_iteration_ends_where_values_have_fewer_dimensions(rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decomposition, "SHORT", 0)
    random = np.random.default_rng(0)
    values = (random.random((700, rank)) @ random.random((rank, 500))).astype(np.float32)
    moments = np.stack([np.zeros(500), np.ones(500)])[None]
    left, sizes, right = leading_vectors(sparse.csr_array(values), moments, np.zeros(700, int), 20, 0)
    expected = np.linalg.svd(values, compute_uv=False)[: len(sizes)]
    assert np.allclose(sizes, expected, atol=1e-3)
    assert np.allclose((left * sizes) @ right, values, atol=1e-3)
    assert left.shape[1] == len(right) == len(sizes) <= 3 * decomposition.BLOCK
