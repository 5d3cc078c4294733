"""The compiled gated convolution against PyTorch Geometric's."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import ResGatedGraphConv

from efnst.embedding.gated import CPU, GatedConvolution, Neighbours, convolution, edges_of, graph_on
from efnst.geometry.neighbours import neighbour_graph

GPU = torch.device("cuda")


def results(layer: nn.Module, x: Tensor, graph: Tensor | Neighbours) -> list[Tensor]:
    """The output, and the gradients of the input and of all weights for a fixed gradient of the output."""
    out = layer(x, graph)
    wanted = torch.randn(out.shape, generator=torch.Generator().manual_seed(2))
    weights = [values for _, values in sorted(layer.named_parameters())]
    return [out.detach(), *torch.autograd.grad((out * wanted).sum(), [x, *weights])]


@pytest.mark.parametrize("steepness", [1, 10, 30])
@pytest.mark.parametrize("n_out", [1, 7, 64])
def test_output_and_gradients_are_those_of_pytorch_geometric(n_out: int, steepness: float) -> None:
    torch.manual_seed(0)
    graph = neighbour_graph(np.random.default_rng(0).uniform(0, 1, (150, 2)), 6)
    ours, theirs, x = GatedConvolution(20, n_out), ResGatedGraphConv(20, n_out), steepness * torch.randn(150, 20)
    theirs.load_state_dict(ours.state_dict())
    found, expected = (
        results(layer, x.clone().requires_grad_(), how)
        for layer, how in ((ours, graph_on(graph, CPU)), (theirs, edges_of(graph)))
    )
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))


def test_a_seed_gives_the_weights_that_it_gives_in_pytorch_geometric() -> None:
    states = []
    for layer in (GatedConvolution, ResGatedGraphConv):
        torch.manual_seed(3)
        states.append(layer(20, 8).state_dict())
    assert sorted(states[0]) == sorted(states[1])
    assert all(torch.equal(values, states[1][name]) for name, values in states[0].items())


def test_each_device_has_its_layer() -> None:
    assert isinstance(convolution(3, 4, CPU), GatedConvolution)
    assert isinstance(convolution(3, 4, GPU), ResGatedGraphConv)


def test_a_spot_without_neighbours_keeps_what_is_its_own() -> None:
    torch.manual_seed(0)
    graph = neighbour_graph(np.array([[0, 0], [1, 0], [0, 1], [1, 1]]), 2).tolil()
    graph[3, :] = graph[:, 3] = 0
    layer, x = GatedConvolution(5, 8), torch.randn(4, 5)
    alone = layer.lin_skip(x[3]) + layer.bias
    assert torch.allclose(layer(x, graph_on(graph.tocsr(), CPU))[3], alone, atol=1e-6)
