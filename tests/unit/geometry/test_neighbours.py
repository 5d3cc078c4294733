"""Graphs over the spots, and what is computed on them, against numbers worked out by hand and slow dense versions."""

import numpy as np
import pytest
from scipy import sparse

from efnst.embedding.augmentation import mixing, neighbour_weights, pair_similarity
from efnst.embedding.diffusion import count_precision, diffuse
from efnst.genes.expression import gene_morans_i, log_normalise
from efnst.geometry.neighbours import (
    graph_of_pairs,
    laplacian,
    nearest_neighbours,
    neighbour_graph,
    pairs_between,
    pairs_within,
)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(1)


def line(n_spots: int) -> np.ndarray:
    """Spots on a line, 1 apart."""
    return np.column_stack([np.arange(n_spots, dtype=float), np.zeros(n_spots)])


def test_nearest_neighbours_break_ties_by_index() -> None:
    assert nearest_neighbours(line(4), 2).tolist() == [[1, 2], [0, 2], [1, 3], [2, 1]]


def test_nearest_neighbours_are_never_more_than_there_are() -> None:
    assert nearest_neighbours(line(3), 6).shape == (3, 2)
    assert nearest_neighbours(line(1), 6).shape == (1, 0)


def test_spots_at_one_place_are_each_others_neighbours_not_their_own() -> None:
    neighbours = nearest_neighbours(np.zeros((4, 2)), 3)
    assert all(spot not in row for spot, row in enumerate(neighbours.tolist()))


def test_neighbour_graph_is_symmetric_without_self_loops() -> None:
    graph = neighbour_graph(line(4), 1).toarray()
    assert graph.tolist() == [[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]]


def test_laplacian_of_a_line() -> None:
    assert laplacian(neighbour_graph(line(3), 1)).toarray().tolist() == [[1, -1, 0], [-1, 2, -1], [0, -1, 1]]


def test_pairs_within_leaves_out_the_radius_itself() -> None:
    assert pairs_within(line(3), 2.0).T.tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]


def test_pair_similarity_is_the_cosine_and_zero_for_zero_rows() -> None:
    values = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    assert pair_similarity(values, np.array([[0, 0], [1, 2]])) == pytest.approx([np.sqrt(0.5), 0.0])


@pytest.mark.parametrize("with_image", [True, False])
def test_weights_and_augmentation_equal_the_dense_form(random: np.random.Generator, with_image: bool) -> None:
    n_spots, n_neighbours, pitch = 40, 3, 1.0
    positions = random.uniform(0, 8, (n_spots, 2))
    expression, image = random.standard_normal((n_spots, 5)), random.standard_normal((n_spots, 4))
    counts = sparse.csr_array(random.poisson(1.0, (n_spots, 7)))

    distance = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    dense = np.corrcoef(expression)
    if with_image:
        unit = image / np.linalg.norm(image, axis=1, keepdims=True)
        dense = dense * np.maximum(unit @ unit.T, 0)
    dense = np.where((distance < 2.9 * pitch) & ~np.eye(n_spots, dtype=bool), np.maximum(dense, 0), 0)
    for row in dense:
        row[np.argsort(-row)[n_neighbours:]] = 0
    dense /= np.maximum(dense.sum(1, keepdims=True), 1e-300)

    weights = neighbour_weights(positions, pitch, expression, image if with_image else None, n_neighbours)
    assert np.allclose(weights.toarray(), dense)
    expected = counts.toarray() + 0.2 * dense @ counts.toarray()
    assert np.allclose((mixing(weights, 0.2) @ counts).toarray(), expected, atol=1e-6)


@pytest.mark.parametrize("px", [17.3, 100.0])
def test_weights_do_not_depend_on_how_positions_are_rounded(random: np.random.Generator, px: float) -> None:
    """On a lattice many pairs lie exactly three steps apart."""
    rows, columns = np.mgrid[:12, :12]
    lattice = np.column_stack([(columns + rows % 2 / 2).ravel(), rows.ravel() * np.sqrt(3) / 2])
    expression = random.standard_normal((144, 5))
    exact = neighbour_weights(lattice, 1.0, expression, None, 8)
    rounded = neighbour_weights(np.round(lattice * px), px, expression, None, 8)
    assert (exact != rounded).nnz == 0


def test_a_spot_far_from_all_others_keeps_its_counts() -> None:
    positions = np.vstack([line(3), [[100.0, 0.0]]])
    expression = np.array([[0.0, 1.0], [0.1, 1.0], [0.2, 1.0], [0.0, 1.0]])
    weights = neighbour_weights(positions, 1.0, expression, None, 2)
    counts = sparse.csr_array(np.arange(8).reshape(4, 2))
    assert weights[[3]].nnz == 0
    assert (mixing(weights, 0.2) @ counts).toarray()[3].tolist() == [6, 7]


def test_log_normalise_by_hand() -> None:
    counts = sparse.csr_array(np.array([[1, 1], [0, 4], [3, 3]]))
    expected = np.log1p([[2, 2], [0, 4], [2, 2]])
    assert np.allclose(log_normalise(counts).toarray(), expected)


def test_morans_i_equals_the_dense_formula(random: np.random.Generator) -> None:
    values = random.poisson(0.5, (30, 4)).astype(float)
    values[:, 3] = 2.0
    graph = neighbour_graph(random.uniform(0, 1, (30, 2)), 4)
    z = values - values.mean(0)
    weights = graph.toarray()
    cross = np.einsum("ij,ig,jg->g", weights, z, z)
    expected = 30 / weights.sum() * cross[:3] / (z**2).sum(0)[:3]
    found = gene_morans_i(sparse.csr_array(values), graph)
    assert found[:3] == pytest.approx(expected)
    assert found[3] == 0


def test_diffusion_with_precision_equals_the_dense_solution(random: np.random.Generator) -> None:
    graph = neighbour_graph(random.uniform(0, 5, (40, 2)), 4)
    values, precision = random.standard_normal((40, 3)), random.uniform(0.05, 1, 40)
    weight = np.diag(precision)
    expected = np.linalg.solve(weight + 0.7 * laplacian(graph).toarray(), weight @ values)
    assert np.allclose(diffuse(values, graph, 0.7, precision), expected, atol=1e-5)
    assert np.allclose(diffuse(values, graph, 0.7, np.ones(40)), diffuse(values, graph, 0.7), atol=1e-6)


def test_a_spot_that_is_not_known_takes_the_mean_of_its_neighbours() -> None:
    graph = graph_of_pairs(np.array([[0, 1, 1, 2], [1, 0, 2, 1]]), 3)
    found = diffuse(np.array([[1.0], [100.0], [3.0]]), graph, 1e-3, np.array([1.0, 1e-9, 1.0]))
    assert found[:, 0] == pytest.approx([1, 2, 3], abs=0.01)


def test_precision_by_hand() -> None:
    assert count_precision(np.array([50, 100, 400, 0, 100])).tolist() == [0.5, 1, 1, 0.001, 1]


def test_pairs_between_and_their_graph_equal_a_double_loop(random: np.random.Generator) -> None:
    positions = random.uniform(0, 10, (50, 2))
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    expected = (distance >= 2) & (distance < 4)
    pairs = pairs_between(positions, 2.0, 4.0)
    assert np.array_equal(graph_of_pairs(pairs, 50).toarray() == 1, expected)


def test_diffusion_equals_the_dense_inverse(random: np.random.Generator) -> None:
    values = random.standard_normal((20, 3))
    graph = neighbour_graph(random.uniform(0, 1, (20, 2)), 3)
    dense = graph.toarray()
    expected = np.linalg.inv(np.eye(20) + 0.5 * (np.diag(dense.sum(1)) - dense)) @ values
    assert np.allclose(diffuse(values, graph), expected, atol=1e-5)
