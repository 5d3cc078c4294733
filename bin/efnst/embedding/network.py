"""The network of EfNST: a denoising autoencoder with a variational graph autoencoder inside."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from efnst.embedding.gated import CPU, Neighbours, convolution
from efnst.embedding.options import NetworkOptions

LARGEST_LOG_STD = 4.0
SMALLEST_LOG_STD = -6.0


class Encoded(NamedTuple):
    """What the network makes of the spots; all [n_spots, ·]."""

    latent: Tensor  # [h | μ + σ·ε] in training, [h | μ] otherwise
    mean: Tensor  # μ
    log_std: Tensor  # log σ
    decoded: Tensor


class EfnstNetwork(nn.Module):
    """Encoder D → 32 → 20 gives h; graph convolutions 20 → 64 → 8 give μ and log σ; decoder [h | z] → 32 → targets.

    The heads of μ and log σ are one convolution with twice the width: the same function as two, in half the time.
    """

    def __init__(self, n_inputs: int, n_targets: int, options: NetworkOptions, device: torch.device = CPU) -> None:
        super().__init__()
        h, mu, momentum = options.encoded_dims, options.graph_dims, options.batch_norm_momentum

        def dense(n_in: int, n_out: int, dropout: float) -> nn.Sequential:
            norm = nn.BatchNorm1d(n_out, momentum=momentum)
            return nn.Sequential(nn.Linear(n_in, n_out), norm, nn.ELU(), nn.Dropout(dropout))

        self.encoder = nn.Sequential(
            dense(n_inputs, options.hidden, options.dropout), dense(options.hidden, h, options.dropout)
        )
        self.convolution = convolution(h, options.convolved, device)
        self.norm = nn.BatchNorm1d(options.convolved, momentum=momentum)
        self.heads = convolution(options.convolved, 2 * mu, device)
        last = [nn.Sigmoid()] if options.decoder == "sigmoid" else []
        self.decoder = nn.Sequential(dense(h + mu, options.hidden, 0.0), nn.Linear(options.hidden, n_targets), *last)
        self.to(device)

    def forward(self, inputs: Tensor, edges: Tensor | Neighbours) -> Encoded:
        """Encode and decode `inputs` float32 [n_spots, n_inputs] over `edges`, as `gated.graph_on` gives them."""
        h = self.encoder(inputs)
        convolved = torch.relu(self.norm(self.convolution(h, edges)))
        mean, log_std = self.heads(convolved, edges).chunk(2, 1)
        log_std = log_std.clamp(SMALLEST_LOG_STD, LARGEST_LOG_STD)
        sample = mean + torch.randn_like(mean) * log_std.exp() if self.training else mean
        latent = torch.cat([h, sample], 1)
        return Encoded(latent, mean, log_std, self.decoder(latent))


def fitted_network(
    state: dict[str, np.ndarray | Tensor],
    n_inputs: int,
    n_targets: int,
    options: NetworkOptions,
    device: torch.device = CPU,
) -> EfnstNetwork:
    """The network with this state dictionary (tensors or arrays), ready to run."""
    network = EfnstNetwork(n_inputs, n_targets, options, device)
    network.load_state_dict({name: torch.as_tensor(values) for name, values in state.items()})
    return network.eval()
