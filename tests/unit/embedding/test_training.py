"""Training by itself: what noise hides, and the device."""

import numpy as np
import pytest
import torch

from efnst.embedding.reproducible import reproducible_torch
from efnst.embedding.training import TrainingOptions, choose_device, train
from efnst.errors import EfnstError
from efnst.geometry.neighbours import neighbour_graph

CPU = torch.device("cpu")


@pytest.mark.slow
def test_noise_hides_inputs_and_dropping_all_of_them_leaves_nothing_to_learn() -> None:
    random = np.random.default_rng(0)
    inputs = random.standard_normal((200, 5)).astype(np.float32)
    graph = neighbour_graph(random.uniform(0, 1, (200, 2)), 6)
    final = {}
    for noise in (0.1, 1.0):
        options = TrainingOptions(epochs=100, tolerance=0, input_noise=noise, graph_weight=0.0, kl_weight=0.0)
        with reproducible_torch(1, 0):
            final[noise] = train(inputs, inputs, graph, options, CPU).loss["reconstruction"][-1]
    assert final[1.0] > 0.9 > 2 * final[0.1]


def test_devices() -> None:
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(EfnstError, match="Expected device to be one of auto, cpu, cuda, found `gpu`"):
        choose_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(EfnstError, match="found no GPU that PyTorch can use"):
            choose_device("cuda")
