"""The compiled gated convolution against PyTorch Geometric's."""

import numpy as np
import pytest
import torch

from efnst.embedding.gated import GatedConvolution, Neighbours, edges_of, joined
from efnst.geometry.neighbours import neighbour_graph

CPU = torch.device("cpu")


def results(convolution: GatedConvolution, x: torch.Tensor, graph: torch.Tensor | Neighbours) -> list[torch.Tensor]:
    """The output, and the gradients of the input and of all weights for a fixed gradient of the output."""
    out = convolution(x, graph)
    wanted = torch.randn(out.shape, generator=torch.Generator().manual_seed(2))
    return [out.detach(), *torch.autograd.grad((out * wanted).sum(), [x, *convolution.parameters()])]


@pytest.mark.parametrize("steepness", [1, 10, 30])
@pytest.mark.parametrize("n_out", [1, 7, 64])
def test_output_and_gradients_are_those_of_pytorch_geometric(n_out: int, steepness: float) -> None:
    torch.manual_seed(0)
    graph = neighbour_graph(np.random.default_rng(0).uniform(0, 1, (150, 2)), 6)
    convolution, x = GatedConvolution(20, n_out), (steepness * torch.randn(150, 20)).requires_grad_()
    ours, theirs = (results(convolution, x, how) for how in (joined(graph, CPU), edges_of(graph)))
    for found, expected in zip(ours, theirs, strict=True):
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_a_spot_without_neighbours_keeps_what_is_its_own() -> None:
    torch.manual_seed(0)
    graph = neighbour_graph(np.array([[0, 0], [1, 0], [0, 1], [1, 1]]), 2).tolil()
    graph[3, :] = graph[:, 3] = 0
    convolution, x = GatedConvolution(5, 8), torch.randn(4, 5)
    alone = convolution.lin_skip(x[3]) + convolution.bias
    assert torch.allclose(convolution(x, joined(graph.tocsr(), CPU))[3], alone, atol=1e-6)
