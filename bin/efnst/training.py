"""Training the EfNST network on one section, full batch, in time and memory linear in the number of spots."""

import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import Tensor, nn
from tqdm import tqdm

from efnst.errors import EfnstError
from efnst.graph_loss import graph_loss, published_graph_loss
from efnst.model import EfnstNetwork, Encoded

GRAPH_LOSSES = ("repaired", "published")


@dataclass(frozen=True)
class TrainingOptions:
    """How to train; the weights multiply the parts of the loss."""

    epochs: int = 200
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    gradient_clip: float = 5.0
    input_noise: float = 0.1  # fraction of the inputs set to zero in each epoch
    reconstruction_weight: float = 1.0
    graph_weight: float = 0.1
    kl_weight: float = 0.01
    graph_loss: str = "repaired"  # one of GRAPH_LOSSES
    seed: int = 0


@dataclass(frozen=True)
class Trained:
    """`latent` float32 [n_spots, 28] in evaluation mode, `loss` {part: one value per epoch}, wall time in seconds."""

    latent: np.ndarray
    loss: dict[str, list[float]]
    seconds: float


def choose_device(name: str) -> torch.device:
    """`auto` takes CUDA where PyTorch has it; an explicit device that is not there is an error, never a fallback."""
    if name not in ("auto", "cpu", "cuda"):
        raise EfnstError(f"Expected device to be auto, cpu or cuda, found `{name}`.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise EfnstError("Expected device `cuda` to be usable, found no GPU that PyTorch can use. Choose --device cpu.")
    return torch.device(name)


def train(
    inputs: np.ndarray, targets: np.ndarray, graph: sparse.csr_array, options: TrainingOptions, device: torch.device
) -> Trained:
    """Train on `inputs` float32 [n_spots, n] to decode `targets` [n_spots, n] over the symmetric 0/1 `graph`."""
    if options.graph_loss not in GRAPH_LOSSES:
        raise EfnstError(f"Expected graph_loss to be {' or '.join(GRAPH_LOSSES)}, found `{options.graph_loss}`.")
    start = time.perf_counter()
    edges = torch.from_numpy(np.stack(graph.tocoo().coords).astype(np.int64)).to(device)
    inputs, targets = (torch.from_numpy(values).to(device) for values in (inputs, targets))
    network = EfnstNetwork(inputs.shape[1]).to(device)
    optimiser = torch.optim.Adam(network.parameters(), options.learning_rate, weight_decay=options.weight_decay)
    history: list[Tensor] = []
    for _ in tqdm(range(options.epochs), desc="training", unit="epoch", disable=None):
        parts = _epoch(network, optimiser, inputs, targets, edges, options)
        history.append(parts)
        if not torch.isfinite(parts).all():
            raise EfnstError(
                f"The loss became {parts.tolist()} in epoch {len(history)}. Choose a smaller learning_rate."
            )
    network.eval()
    with torch.no_grad():
        latent = network(inputs, edges).latent.cpu().numpy()
    losses = torch.stack(history).cpu().numpy()
    loss = {name: losses[:, column].tolist() for column, name in enumerate(("reconstruction", "graph", "kl"))}
    return Trained(latent, loss, time.perf_counter() - start)


def _epoch(
    network: EfnstNetwork,
    optimiser: torch.optim.Optimizer,
    inputs: Tensor,
    targets: Tensor,
    edges: Tensor,
    options: TrainingOptions,
) -> Tensor:
    """One step on all spots; returns the parts of the loss (reconstruction, graph, kl)."""
    network.train()
    noisy = inputs * (torch.rand_like(inputs) >= options.input_noise)
    parts = _losses(network(noisy, edges), targets, edges, options)
    weights = parts.new_tensor([options.reconstruction_weight, options.graph_weight, options.kl_weight])
    optimiser.zero_grad()
    (parts * weights).sum().backward()
    nn.utils.clip_grad_norm_(network.parameters(), options.gradient_clip)
    optimiser.step()
    return parts.detach()


def _losses(encoded: Encoded, targets: Tensor, edges: Tensor, options: TrainingOptions) -> Tensor:
    """Mean squared error, graph loss of μ, and KL divergence to N(0, I) per spot (Kingma 2014, appendix B)."""
    if options.graph_loss == "published":
        graph = published_graph_loss(encoded.latent, edges)
    else:
        pairs = torch.randint(targets.shape[0], edges.shape, device=edges.device)
        graph = graph_loss(encoded.mean, edges, pairs)
    variance = (2 * encoded.log_std).exp()
    kl = (encoded.mean**2 + variance - 1 - 2 * encoded.log_std).sum(1).mean() / 2
    return torch.stack([F.mse_loss(encoded.decoded, targets), graph, kl])
