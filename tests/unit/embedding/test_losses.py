"""The graph losses against their dense forms."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from efnst.embedding.losses import graph_loss, pair_products, published_graph_loss
from efnst.geometry.neighbours import neighbour_graph


@pytest.fixture
def edges() -> torch.Tensor:
    positions = np.random.default_rng(0).uniform(0, 1, (25, 2))
    return torch.from_numpy(np.stack(neighbour_graph(positions, 4).tocoo().coords).astype(np.int64))


def embedding() -> torch.Tensor:
    return torch.randn(25, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()


def dense_published_loss(z: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """What the published code computes, with N×N matrices."""
    n_spots = len(z)
    adjacency = torch.eye(n_spots, dtype=z.dtype)
    adjacency[edges[0], edges[1]] = 1
    norm = n_spots**2 / (2 * (n_spots**2 - edges.shape[1]))
    logits = torch.sigmoid(z @ z.T) * adjacency
    return norm * F.binary_cross_entropy_with_logits(logits, adjacency)


def test_edge_form_of_the_published_loss_equals_the_dense_form(edges: torch.Tensor) -> None:
    z = embedding()
    found, expected = published_graph_loss(z, edges), dense_published_loss(z, edges)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    gradients = [torch.autograd.grad(loss, z)[0] for loss in (found, expected)]
    assert torch.allclose(*gradients, rtol=1e-6, atol=1e-12)


def test_graph_loss_by_hand() -> None:
    z = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    found = graph_loss(z, torch.tensor([[0], [1]]), torch.tensor([[0], [2]]))
    assert found.item() == pytest.approx((np.log1p(np.exp(-2.0)) + np.log(2.0)) / 2)


def test_graph_loss_pulls_neighbours_together_and_others_apart(edges: torch.Tensor) -> None:
    z = embedding()
    others = torch.randint(25, (2, 400), generator=torch.Generator().manual_seed(1))
    before = graph_loss(z, edges, others)
    gradient = torch.autograd.grad(before, z)[0]
    assert graph_loss(z - 0.1 * gradient, edges, others) < before


def test_products_of_pairs_and_their_gradient() -> None:
    z, pairs = embedding(), torch.randint(25, (2, 300), generator=torch.Generator().manual_seed(3))
    expected = (z[pairs[0]] * z[pairs[1]]).sum(1)
    found, wanted = pair_products(z, pairs), torch.linspace(-1, 1, 300, dtype=z.dtype)
    assert torch.allclose(found, expected)
    assert torch.allclose(*(torch.autograd.grad((s * wanted).sum(), z)[0] for s in (found, expected)))
