"""Graph reconstruction losses in O(edges): the published one, exactly, and the repaired one with negative pairs."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def published_graph_loss(z: Tensor, edges: Tensor) -> Tensor:
    """The published loss of `z` [n_spots, n] over `edges` int [2, n_edges] (both directions, without self loops).

    The published code takes the binary cross entropy between A ∘ sigmoid(Z Zᵀ) as logits and A, the adjacency with self
    loops. A non-edge then has logit 0 and label 0 and adds log 2 whatever `z` is, so that
    norm / N² · [Σ_e (softplus(s_e) - s_e) + (N² - M) · log 2] with s_e = sigmoid(z_i · z_j) over the M edges including
    self loops is the same number; norm = N² / (2 (N² - E)), E edges without self loops.
    """
    n_spots = z.shape[0]
    loops = torch.arange(n_spots, device=z.device).expand(2, -1)
    i, j = torch.cat([edges, loops], 1)
    s = torch.sigmoid((z[i] * z[j]).sum(1))
    total = (F.softplus(s) - s).sum() + (n_spots**2 - len(i)) * math.log(2)
    return total / (2 * (n_spots**2 - edges.shape[1]))


def graph_loss(z: Tensor, edges: Tensor, non_edges: Tensor) -> Tensor:
    """Binary cross entropy of z_i · z_j as logits, edges against sampled pairs, each half of the sum.

    `edges` and `non_edges` are int [2, ·]. A sampled pair that happens to be an edge is kept: that is rare.
    """
    edge, other = ((z[i] * z[j]).sum(1) for i, j in (edges, non_edges))
    return (F.softplus(-edge).mean() + F.softplus(other).mean()) / 2
