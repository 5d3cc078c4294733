"""Spatially variable genes: Moran's I by hand, against a dense version and by permutation."""

import numpy as np
import pytest
import scipy.sparse as sp
from tests.support.grids import hexagonal, square

from efnst.genes.expression import gene_morans_i
from efnst.genes.spatial_genes import morans_i_moments, rank_spatial_genes, touching_spots


def dense_morans_i(x: np.ndarray, w: np.ndarray) -> float:
    """The definition, term by term."""
    z = x - x.mean()
    return len(x) / w.sum() * sum(w[i, j] * z[i] * z[j] for i in range(len(x)) for j in range(len(x))) / (z**2).sum()


@pytest.mark.parametrize(("positions", "inside"), [(hexagonal(7, 7), 6), (square(7, 7), 8)])
def test_spots_touch_their_first_ring_only(positions: np.ndarray, inside: int) -> None:
    graph = touching_spots(100 * positions, 100)
    assert graph.sum(axis=1).max() == inside
    assert (graph != graph.T).nnz == 0
    assert graph.diagonal().sum() == 0


def test_morans_i_by_hand() -> None:
    """Four spots in a row with 1 2 3 4: z = -1.5 -0.5 0.5 1.5; 4/6 * 2 * (0.75 - 0.25 + 0.75) / 5 = 1/3."""
    graph = sp.diags([np.ones(3), np.ones(3)], [1, -1]).tocsr()
    expression = sp.csc_matrix([[1.0, 1, 7], [2, 0, 7], [3, 1, 7], [4, 0, 7]])
    # The second gene alternates: z = ±0.5, every pair -0.25: 4/6 * 6 * -0.25 / 1 = -1. The third is constant.
    np.testing.assert_allclose(gene_morans_i(expression, graph), [1 / 3, -1, 0], atol=1e-12)


def test_morans_i_equals_the_dense_definition() -> None:
    rng = np.random.default_rng(3)
    graph = touching_spots(hexagonal(6, 5), 1)
    values = rng.poisson(0.7, (30, 12)).astype(float)
    expected = [dense_morans_i(values[:, gene], graph.toarray()) for gene in range(12)]
    np.testing.assert_allclose(gene_morans_i(sp.csc_matrix(values), graph), expected, atol=1e-12)


def test_moments_equal_those_of_random_normal_values() -> None:
    graph = touching_spots(hexagonal(8, 8), 1)
    values = np.random.default_rng(5).normal(size=(64, 20_000))
    simulated = gene_morans_i(sp.csc_matrix(values), graph)
    expected, variance = morans_i_moments(graph)
    assert expected == pytest.approx(-1 / 63)
    assert simulated.mean() == pytest.approx(expected, abs=4 * np.sqrt(variance / 20_000))
    assert simulated.var() == pytest.approx(variance, rel=0.05)


def test_patterned_gene_is_first() -> None:
    positions = hexagonal(12, 12)
    values = np.random.default_rng(7).poisson(2.0, (144, 50)).astype(float)
    values[:, 31] += 5 * (positions[:, 0] < 6)
    genes = np.array([f"gene{number}" for number in range(50)])
    table = rank_spatial_genes(sp.csc_matrix(values), genes, touching_spots(positions, 1))
    assert table["gene"][0] == "gene31"
    assert table["p_adjusted"][0] < 1e-10
    assert table["p_adjusted"][1:].median() > 0.2
    assert table["morans_i"].is_monotonic_decreasing
    assert (table["p_adjusted"] >= table["p_value"]).all()


def test_noise_is_called_significant_as_often_as_it_should() -> None:
    """Within the error of the normal approximation, which is a little too bold in the tail."""
    values = np.random.default_rng(0).poisson(2.0, (400, 4000)).astype(float)
    table = rank_spatial_genes(sp.csc_matrix(values), np.arange(4000).astype(str), touching_spots(hexagonal(20, 20), 1))
    assert (table["p_value"] < 0.1).mean() == pytest.approx(0.1, abs=0.02)
    assert (table["p_value"] < 0.01).mean() == pytest.approx(0.01, abs=0.006)


def test_spots_without_neighbours_are_no_evidence() -> None:
    graph = touching_spots(10 * square(3, 3), 1)
    table = rank_spatial_genes(sp.csc_matrix(np.eye(9)), np.arange(9).astype(str), graph)
    assert (table["morans_i"] == 0).all()
    assert (table["p_value"] == 1).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n_spots", [1, 2, 3])
def test_few_spots_that_all_touch_have_no_small_p_values(n_spots: int) -> None:
    """Of three spots that touch each other I is -1/2 whatever they hold, so that it has no variance."""
    graph = touching_spots(np.array([[0, 0], [1, 0], [0.5, 0.8]])[:n_spots], 1)
    values = np.array([[1.0, 5, 2], [2, 0, 2], [9, 1, 2]])[:n_spots]
    table = rank_spatial_genes(sp.csc_matrix(values), np.array(["a", "b", "constant"]), graph)
    assert (table[["p_value", "p_adjusted"]] == 1).all(axis=None)
    if n_spots == 3:
        assert table.set_index("gene")["morans_i"].to_dict() == pytest.approx({"constant": 0, "a": -0.5, "b": -0.5})
