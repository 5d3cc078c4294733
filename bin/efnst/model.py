"""The network of EfNST: a denoising autoencoder with a variational graph autoencoder inside."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.nn import ResGatedGraphConv

LARGEST_LOG_STD = 4.0
SMALLEST_LOG_STD = -6.0


class Encoded(NamedTuple):
    """What the network makes of the spots; all [n_spots, ·]."""

    latent: Tensor  # [h | μ + σ·ε] in training, [h | μ] otherwise
    mean: Tensor  # μ
    log_std: Tensor  # log σ
    decoded: Tensor


class EfnstNetwork(nn.Module):
    """Encoder D → 32 → 20 gives h; graph convolutions 20 → 64 → 8 give μ and log σ; decoder [h | z] → 32 → D.

    The decoder's last layer is linear, since principal components have no bounds.

    The heads of μ and log σ are one convolution with twice the width: the same function as two, in half the time.
    """

    def __init__(
        self,
        n_inputs: int,
        hidden: int = 32,
        encoded: int = 20,
        convolved: int = 64,
        graph: int = 8,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.encoder = nn.Sequential(_dense(n_inputs, hidden, dropout), _dense(hidden, encoded, dropout))
        self.convolution = ResGatedGraphConv(encoded, convolved)
        self.norm = nn.BatchNorm1d(convolved)
        self.heads = ResGatedGraphConv(convolved, 2 * graph)
        self.decoder = nn.Sequential(_dense(encoded + graph, hidden, 0.0), nn.Linear(hidden, n_inputs))

    def forward(self, inputs: Tensor, edges: Tensor) -> Encoded:
        """Encode and decode `inputs` float32 [n_spots, n_inputs] over `edges` int [2, n_edges]."""
        h = self.encoder(inputs)
        convolved = torch.relu(self.norm(self.convolution(h, edges)))
        mean, log_std = self.heads(convolved, edges).chunk(2, 1)
        log_std = log_std.clamp(SMALLEST_LOG_STD, LARGEST_LOG_STD)
        sample = mean + torch.randn_like(mean) * log_std.exp() if self.training else mean
        latent = torch.cat([h, sample], 1)
        return Encoded(latent, mean, log_std, self.decoder(latent))


def _dense(n_inputs: int, n_outputs: int, dropout: float) -> nn.Sequential:
    """Linear, BatchNorm, ELU, dropout."""
    return nn.Sequential(nn.Linear(n_inputs, n_outputs), nn.BatchNorm1d(n_outputs), nn.ELU(), nn.Dropout(dropout))
