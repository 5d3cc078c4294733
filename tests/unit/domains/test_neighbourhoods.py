"""Which domains touch: counts by hand, z scores against the known moments and against squidpy."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from efnst.domains.neighbourhoods import adjacency_z, domain_adjacency, permutations_of
from efnst.genes.spatial_genes import touching_spots


def test_adjacency_by_hand() -> None:
    """A row of spots 1 1 2 2 3: pairs 11, 12, 22, 23; of 10 possible pairs 1 is 11, 4 are 12, 2 are 13 and so on."""
    graph = sp.diags([np.ones(4), np.ones(4)], [1, -1]).tocsr()
    counts, enrichment = domain_adjacency(graph, pd.Categorical(["1", "1", "2", "2", "3"]))
    assert counts.tolist() == [[1, 1, 0], [1, 1, 1], [0, 1, 0]]
    expected = 4 * np.array([[1, 4, 2], [4, 1, 2], [2, 2, 0]]) / 10
    with np.errstate(divide="ignore", invalid="ignore"):
        np.testing.assert_allclose(enrichment, counts / expected)
    assert np.isnan(enrichment[2, 2])


@pytest.fixture
def stripes() -> tuple[sp.csr_matrix, pd.Categorical]:
    """A square grid of 15 x 15 spots in three stripes, with a tenth of the spots anywhere."""
    positions = np.indices((15, 15)).reshape(2, -1).T.astype(float)
    codes = (positions[:, 1] // 5).astype(int)
    rng = np.random.default_rng(0)
    moved = rng.random(len(codes)) < 0.1
    codes[moved] = rng.integers(0, 3, moved.sum())
    return touching_spots(positions, 1.0), pd.Categorical.from_codes(codes, ["1", "2", "3"])


@pytest.mark.slow
def test_z_scores_equal_those_of_squidpy(stripes: tuple[sp.csr_matrix, pd.Categorical]) -> None:
    """The same test; the two draw other permutations, which leaves an error of a few percent in the spread."""
    squidpy = pytest.importorskip("squidpy")
    graph, domains = stripes
    data = anndata.AnnData(obs=pd.DataFrame({"domain": domains}, index=[str(n) for n in range(len(domains))]))
    data.obsp["spatial_connectivities"] = graph
    expected = squidpy.gr.nhood_enrichment(data, "domain", n_perms=2000, seed=0, copy=True, show_progress_bar=False)[0]
    found = adjacency_z(graph, domains, seed=0, n_permutations=1000)
    np.testing.assert_allclose(found, expected, rtol=0.1, atol=0.3)
    assert (np.diag(found) > 10).all()
    assert found[0, 2] < -5


def test_shuffled_domains_have_no_z_score(stripes: tuple[sp.csr_matrix, pd.Categorical]) -> None:
    graph, domains = stripes
    chance = domains[np.random.default_rng(3).permutation(len(domains))]
    assert np.abs(adjacency_z(graph, chance, seed=1, n_permutations=1000)).max() < 3.5
    first, again, other = (adjacency_z(graph, chance, seed, 50) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_no_spread_is_no_z_score() -> None:
    """All spots in one domain: every permutation counts the same pairs."""
    graph = sp.diags([np.ones(4), np.ones(4)], [1, -1]).tocsr()
    assert np.isnan(adjacency_z(graph, pd.Categorical(["1"] * 5), seed=0, n_permutations=10)).all()


def test_many_pairs_get_fewer_permutations() -> None:
    """A ring of n spots has n pairs."""
    found = []
    for n in (1000, 500_000, 3_000_000):
        spots = np.arange(n)
        ring = sp.csr_matrix((np.ones(n, np.int8), (spots, (spots + 1) % n)), (n, n))
        found.append(permutations_of(ring + ring.T))
    assert found == [1000, 400, 100]
