"""Graph reconstruction losses in O(edges): the published one, exactly, and the repaired one with negative pairs."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from efnst.embedding.compiled import compiled


def published_graph_loss(z: Tensor, edges: Tensor) -> Tensor:
    """The published loss of `z` [n_spots, n] over `edges` int [2, n_edges] (both directions, without self loops).

    The published code takes the binary cross entropy between A ∘ sigmoid(Z Zᵀ) as logits and A, the adjacency with self
    loops. A non-edge then has logit 0 and label 0 and adds log 2 whatever `z` is, so that
    norm / N² · [Σ_e (softplus(s_e) - s_e) + (N² - M) · log 2] with s_e = sigmoid(z_i · z_j) over the M edges including
    self loops is the same number; norm = N² / (2 (N² - E)), E edges without self loops.
    """
    n_spots = z.shape[0]
    loops = torch.arange(n_spots, device=z.device).expand(2, -1)
    pairs = torch.cat([edges, loops], 1)
    s = torch.sigmoid(pair_products(z, pairs))
    total = (F.softplus(s) - s).sum() + (n_spots**2 - pairs.shape[1]) * math.log(2)
    return total / (2 * (n_spots**2 - edges.shape[1]))


def graph_loss(z: Tensor, edges: Tensor, non_edges: Tensor) -> Tensor:
    """Binary cross entropy of z_i · z_j as logits, edges against sampled pairs, each half of the sum.

    `edges` and `non_edges` are int [2, ·]. A sampled pair that happens to be an edge is kept: that is rare.
    """
    edge, other = (pair_products(z, pairs) for pairs in (edges, non_edges))
    return (F.softplus(-edge).mean() + F.softplus(other).mean()) / 2


def pair_products(z: Tensor, pairs: Tensor) -> Tensor:
    """z_i · z_j [n_pairs] for the `pairs` int64 [2, n_pairs] of rows of `z` [n_spots, n]; compiled on a CPU."""
    if z.device.type != "cpu":
        i, j = pairs
        return (z[i] * z[j]).sum(1)
    return _PairProducts.apply(z, pairs)


class _PairProducts(torch.autograd.Function):
    """z_i · z_j with its gradient, without the tensors of pairs × width."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, z: Tensor, pairs: Tensor) -> Tensor:
        ctx.save_for_backward(z, pairs)
        products = z.new_empty(pairs.shape[1])
        _products(*pairs.numpy(), z.detach().numpy(), products.numpy())
        return products

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        z, pairs = ctx.saved_tensors
        found = torch.zeros_like(z)
        _product_gradients(*pairs.numpy(), z.numpy(), gradient.contiguous().numpy(), found.numpy())
        return found, None


@compiled
def _products(i: np.ndarray, j: np.ndarray, z: np.ndarray, out: np.ndarray) -> None:
    """The product of each pair."""
    for pair in range(len(i)):
        left, right, total = z[i[pair]], z[j[pair]], z.dtype.type(0)
        for c in range(z.shape[1]):
            total += left[c] * right[c]
        out[pair] = total


@compiled
def _product_gradients(i: np.ndarray, j: np.ndarray, z: np.ndarray, gradient: np.ndarray, out: np.ndarray) -> None:
    """The gradient of z, [n_spots, n], for that of each pair's product."""
    for pair in range(len(i)):
        left, right = i[pair], j[pair]
        for c in range(z.shape[1]):
            out[left, c] += gradient[pair] * z[right, c]
            out[right, c] += gradient[pair] * z[left, c]
