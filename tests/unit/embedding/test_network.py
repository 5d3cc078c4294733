"""The network, without training."""

import numpy as np
import torch
from scipy import sparse

from efnst.embedding.gated import CPU, Neighbours, graph_on
from efnst.embedding.network import LARGEST_LOG_STD, SMALLEST_LOG_STD, EfnstNetwork
from efnst.embedding.options import NetworkOptions

H, MU = slice(0, 20), slice(20, 28)  # columns of the network's latent


def some_graph(n_spots: int, n_edges: int) -> Neighbours:
    """A symmetric graph with about so many edges at random."""
    pairs = np.random.default_rng(0).integers(n_spots, size=(2, n_edges))
    graph = sparse.coo_array((np.ones(n_edges), pairs), (n_spots, n_spots)).tocsr()
    return graph_on(((graph + graph.T) > 0).astype(float), CPU)


def test_a_sigmoid_decoder_stays_between_0_and_1() -> None:
    network = EfnstNetwork(6, 4, NetworkOptions(decoder="sigmoid")).eval()
    decoded = network(100 * torch.randn(30, 6), some_graph(30, 90)).decoded
    assert decoded.shape == (30, 4) and decoded.min() >= 0 and decoded.max() <= 1


def test_few_epochs_give_nearly_the_same_in_evaluation_as_in_training() -> None:
    """After 30 epochs the running statistics of the batch norms are close to those of the section."""
    torch.manual_seed(0)
    inputs, edges = 3 + 5 * torch.randn(200, 10), some_graph(200, 900)
    network = EfnstNetwork(10, 10, NetworkOptions())
    for _ in range(30):
        network(inputs, edges)
    norm = network.encoder[0][1]
    hidden = network.encoder[0][0](inputs).detach()
    assert torch.allclose(norm.running_mean, hidden.mean(0), atol=0.2 * float(hidden.std()))
    assert torch.allclose(norm.running_var, hidden.var(0), rtol=0.1)


def test_evaluation_takes_the_mean_and_training_a_sample() -> None:
    torch.manual_seed(0)
    inputs, edges = torch.randn(50, 10), some_graph(50, 200)
    network = EfnstNetwork(10, 10, NetworkOptions()).eval()
    with torch.no_grad():
        first, second = network(inputs, edges), network(inputs, edges)
        assert torch.equal(first.latent, second.latent) and torch.equal(first.latent[:, MU], first.mean)
        assert first.latent.shape == (50, 28) and first.decoded.shape == (50, 10)
        assert not torch.equal(network.train()(inputs, edges).latent, network(inputs, edges).latent)
        wild = network.eval()(1e6 * inputs, edges)
    assert wild.log_std.min() >= SMALLEST_LOG_STD and wild.log_std.max() <= LARGEST_LOG_STD


def test_the_graph_reaches_the_mean_but_not_h() -> None:
    torch.manual_seed(0)
    inputs, pair = torch.randn(30, 6), sparse.coo_array(([1, 1], ([0, 1], [1, 0])), (30, 30)).tocsr()
    edges, none = graph_on(pair, CPU), graph_on(sparse.csr_array((30, 30)), CPU)
    network = EfnstNetwork(6, 6, NetworkOptions()).eval()
    with torch.no_grad():
        joined, alone = network(inputs, edges).latent, network(inputs, none).latent
    assert torch.equal(joined[:, H], alone[:, H])
    changed = (joined[:, MU] - alone[:, MU]).abs().amax(1) > 1e-6
    assert changed.nonzero().ravel().tolist() == [0, 1]
