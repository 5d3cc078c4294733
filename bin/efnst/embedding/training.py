"""Training the EfNST network on one section, full batch, in time and memory linear in the number of spots."""

import time
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from sklearn.cluster import KMeans
from torch import Tensor, nn

from efnst.embedding.convergence import converged
from efnst.embedding.deep_clustering import clustering_loss, soft_assignment, target_distribution
from efnst.embedding.losses import graph_loss, published_graph_loss
from efnst.embedding.network import EfnstNetwork, Encoded, NetworkOptions
from efnst.errors import EfnstError, check_choice

GRAPH_LOSSES = ("repaired", "published")
LOSS_PARTS = ("reconstruction", "graph", "kl", "clustering")
TARGET_EPOCHS = 20  # of deep embedded clustering, between two target distributions


@dataclass(frozen=True)
class TrainingOptions:
    """How to train; the weights multiply the parts of the loss."""

    epochs: int = 400  # at most
    tolerance: float = 0.02  # relative fall of the loss that still counts as learning; 0: train all epochs
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    gradient_clip: float = 5.0
    input_noise: float = 0.1  # fraction of the inputs set to zero in each epoch
    reconstruction_weight: float = 1.0
    graph_weight: float = 0.1
    kl_weight: float = 0.01
    graph_loss: str = "repaired"  # one of GRAPH_LOSSES
    dec_epochs: int = 0  # of deep embedded clustering after the training proper
    dec_weight: float = 1.0
    n_clusters: int = 0  # centres of deep embedded clustering
    seed: int = 0
    network: NetworkOptions = field(default_factory=NetworkOptions)


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
    check_choice("device", name, ("auto", "cpu", "cuda"))
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
    check_choice("graph_loss", options.graph_loss, GRAPH_LOSSES)
    start = time.perf_counter()
    run = _Run(inputs, targets, graph, options, device)
    while len(run.total) < options.epochs and not converged(run.total, options.tolerance):
        run.epoch()
    if options.dec_epochs:
        run.find_centres()
    for _ in range(options.dec_epochs):
        run.epoch()
    losses = torch.stack(run.history).cpu().numpy()
    loss = {
        name: losses[:, column].tolist() for column, name in enumerate(LOSS_PARTS[: 4 if options.dec_epochs else 3])
    }
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
        self.edges = torch.from_numpy(np.stack(graph.tocoo().coords).astype(np.int64)).to(device)
        self.inputs, self.targets = (torch.from_numpy(values).to(device) for values in (inputs, targets))
        self.network = EfnstNetwork(inputs.shape[1], targets.shape[1], options.network).to(device)
        self.centres: nn.Parameter | None = None
        self.target_distribution: Tensor | None = None
        self.optimiser = torch.optim.Adam(
            self.network.parameters(), options.learning_rate, weight_decay=options.weight_decay
        )
        weights = [options.reconstruction_weight, options.graph_weight, options.kl_weight, options.dec_weight]
        self.weights = torch.tensor(weights, device=device)
        self.history: list[Tensor] = []  # parts of the loss [4], not weighted
        self.total: list[float] = []  # the weighted sum

    def epoch(self) -> None:
        """One step on all spots."""
        if self.centres is not None and (len(self.history) - self.dec_start) % TARGET_EPOCHS == 0:
            self.target_distribution = target_distribution(soft_assignment(self.encode().latent, self.centres.detach()))
        self.network.train()
        noisy = self.inputs * (torch.rand_like(self.inputs) >= self.options.input_noise)
        parts = self._losses(self.network(noisy, self.edges))
        loss = (parts * self.weights).sum()
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.options.gradient_clip)
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
            return self.network(self.inputs, self.edges)

    def find_centres(self) -> None:
        """Start deep embedded clustering from the k-means centres of the latent space."""
        if not 2 <= self.options.n_clusters <= len(self.inputs):
            raise EfnstError(
                f"Expected the number of domains (2 to {len(self.inputs)}, the spots) for deep embedded clustering, "
                f"found {self.options.n_clusters}. Give n_domains, or set dec_epochs to 0."
            )
        latent = self.encode().latent
        kmeans = KMeans(self.options.n_clusters, n_init=10, random_state=self.options.seed).fit(latent.cpu().numpy())
        self.centres = nn.Parameter(latent.new_tensor(kmeans.cluster_centers_))
        self.optimiser.add_param_group({"params": [self.centres], "weight_decay": 0.0})
        self.dec_start = len(self.history)

    def _losses(self, encoded: Encoded) -> Tensor:
        """Mean squared error, graph loss, KL divergence to N(0, I) per spot (Kingma 2014, appendix B), clustering."""
        if self.options.graph_loss == "published":
            graph = published_graph_loss(encoded.latent, self.edges)
        else:
            pairs = torch.randint(len(self.targets), self.edges.shape, device=self.edges.device)
            graph = graph_loss(encoded.mean, self.edges, pairs)
        variance = (2 * encoded.log_std).exp()
        kl = (encoded.mean**2 + variance - 1 - 2 * encoded.log_std).sum(1).mean() / 2
        if self.centres is None:
            clustering = kl.new_zeros(())
        else:
            clustering = clustering_loss(soft_assignment(encoded.latent, self.centres), self.target_distribution)
        return torch.stack([F.mse_loss(encoded.decoded, self.targets), graph, kl, clustering])
