"""Training the EfNST network on one section, full batch, in time and memory linear in the number of spots."""

import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import Tensor

from efnst.embedding.adam import Adam
from efnst.embedding.convergence import converged
from efnst.embedding.gated import edges_of, graph_on
from efnst.embedding.losses import graph_loss, published_graph_loss
from efnst.embedding.network import EfnstNetwork, Encoded
from efnst.embedding.options import TrainingOptions
from efnst.errors import EfnstError

LOSS_PARTS = ("reconstruction", "graph", "kl")
FOR_ENCODERS = {"tensorrt": "cuda", "openvino": "cpu"}  # devices that run no network of PyTorch, and where it runs then


@dataclass(frozen=True)
class Trained:
    """`latent` float32 [n_spots, 28] and `decoded` [n_spots, m] in evaluation mode, wall time in seconds.

    `loss` is {part: one value per epoch}, not weighted; `state` the network's state dictionary.
    """

    latent: np.ndarray
    decoded: np.ndarray
    loss: dict[str, list[float]]
    seconds: float
    state: dict[str, np.ndarray]


def choose_device(name: str) -> torch.device:
    """`auto` takes CUDA where PyTorch has it; an explicit device that is not there is an error, never a fallback."""
    name = FOR_ENCODERS.get(name, name)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise EfnstError("Expected device `cuda` to be usable, found no GPU that PyTorch can use. Choose --device cpu.")
    return torch.device(name)


def train(
    inputs: np.ndarray, targets: np.ndarray, graph: sparse.csr_array, options: TrainingOptions, device: torch.device
) -> Trained:
    """Train on `inputs` float32 [n_spots, n] to decode `targets` [n_spots, m] over the symmetric 0/1 `graph`.

    Ends when the loss no longer falls (`convergence.converged`), at the latest after `options.epochs`.
    """
    start = time.perf_counter()
    run = _Run(inputs, targets, graph, options, device)
    while len(run.total) < options.epochs and not converged(run.total, options.tolerance):
        run.epoch()
    losses = torch.stack(run.history).cpu().numpy()
    loss = {name: losses[:, column].tolist() for column, name in enumerate(LOSS_PARTS)}
    encoded = run.encode()
    state = {name: values.cpu().numpy() for name, values in run.network.state_dict().items()}
    return Trained(
        encoded.latent.cpu().numpy(), encoded.decoded.cpu().numpy(), loss, time.perf_counter() - start, state
    )


class _Run:
    """One training: network, optimiser, data and what the epochs so far have lost."""

    def __init__(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        graph: sparse.csr_array,
        options: TrainingOptions,
        device: torch.device,
    ) -> None:
        self.options = options
        self.edges = edges_of(graph).to(device)
        self.graph = graph_on(graph, device)
        self.inputs, self.targets = (torch.from_numpy(values).to(device) for values in (inputs, targets))
        self.network = EfnstNetwork(inputs.shape[1], targets.shape[1], options.network, device).train()
        self.optimiser = Adam(
            list(self.network.parameters()), options.learning_rate, options.weight_decay, options.gradient_clip
        )
        weights = [options.reconstruction_weight, options.graph_weight, options.kl_weight]
        self.weights = torch.tensor(weights, device=device)
        self.history: list[Tensor] = []  # parts of the loss [3], not weighted
        self.total: list[float] = []  # the weighted sum

    def epoch(self) -> None:
        """One step on all spots."""
        noisy = self.inputs * (torch.rand_like(self.inputs) >= self.options.input_noise)
        parts = self._losses(self.network(noisy, self.graph))
        loss = (parts * self.weights).sum()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.history.append(parts.detach())
        self.total.append(loss.item())
        if not np.isfinite(self.total[-1]):
            found, epoch = parts.tolist(), len(self.history)
            raise EfnstError(f"The loss became {found} in epoch {epoch}. Choose a smaller learning_rate.")

    def encode(self) -> Encoded:
        """All spots in evaluation mode: nothing hidden, nothing sampled."""
        self.network.eval()
        with torch.no_grad():
            return self.network(self.inputs, self.graph)

    def _losses(self, encoded: Encoded) -> Tensor:
        """Mean squared error, graph loss, KL divergence to N(0, I) per spot (Kingma 2014, appendix B)."""
        if self.options.graph_loss == "published":
            graph = published_graph_loss(encoded.latent, self.edges)
        else:
            pairs = torch.randint(len(self.targets), self.edges.shape, device=self.edges.device)
            graph = graph_loss(encoded.mean, self.edges, pairs)
        variance = (2 * encoded.log_std).exp()
        kl = (encoded.mean**2 + variance - 1 - 2 * encoded.log_std).sum(1).mean() / 2
        return torch.stack([F.mse_loss(encoded.decoded, self.targets), graph, kl])
