"""Values between the nodes of a lattice."""

import numpy as np

from efnst.geometry.lattice import bilinear, lattice_over

NODES = np.array([(row, column) for row in range(3, 7) for column in range(-2, 4)])


def test_a_plane_is_told_exactly() -> None:
    places = np.random.default_rng(0).uniform((3, -2), (6, 3), (50, 2))
    told = bilinear(places, NODES) @ (2.0 * NODES[:, 0] - 0.5 * NODES[:, 1])
    np.testing.assert_allclose(told, 2 * places[:, 0] - 0.5 * places[:, 1])


def test_a_place_on_a_node_takes_that_alone() -> None:
    weights = bilinear(NODES.astype(float), NODES)
    np.testing.assert_array_equal(weights.toarray(), np.eye(len(NODES)))


def test_missing_nodes_leave_their_weight_to_the_others() -> None:
    nodes = np.array([[0, 0], [0, 1]])  # the two below are missing
    np.testing.assert_allclose(bilinear(np.array([[0.5, 0.25]]), nodes).toarray(), [[0.75, 0.25]])
    assert bilinear(np.array([[5.0, 5.0]]), nodes).nnz == 0


def test_keys_of_one_row_do_not_run_into_the_next() -> None:
    nodes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    told = bilinear(np.array([[0.0, 1.5], [0.0, -0.5]]), nodes).toarray()
    np.testing.assert_allclose(told, [[0, 1, 0, 0], [1, 0, 0, 0]])


def test_every_place_has_four_nodes_around_it() -> None:
    positions = np.random.default_rng(1).uniform(100, 900, (40, 2))
    nodes, weights = lattice_over(positions, 56.0)
    np.testing.assert_allclose(weights @ nodes, positions)
    np.testing.assert_allclose(weights.sum(1), 1)
    assert weights.shape == (40, len(nodes))
