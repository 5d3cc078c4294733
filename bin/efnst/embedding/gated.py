"""The gated graph convolution, on a CPU without a tensor of edges × width; neighbours are read where they stand."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import Tensor, nn

from efnst.embedding.compiled import compiled

CPU = torch.device("cpu")
LARGEST = 80.0  # of |k| and |q|, so that e^|k| is finite and not 0 in float32; those of fitted networks are below 10


class Neighbours(NamedTuple):
    """A symmetric graph as compressed rows: those of spot i are indices[starts[i]:starts[i + 1]]; int64 arrays."""

    starts: np.ndarray
    indices: np.ndarray


def edges_of(graph: sparse.csr_array) -> Tensor:
    """The edges of a 0/1 graph [n_spots, n_spots] as PyTorch Geometric has them, int64 [2, n_edges]."""
    return torch.from_numpy(np.stack(graph.tocoo().coords).astype(np.int64))


def graph_on(graph: sparse.csr_array, device: torch.device) -> Tensor | Neighbours:
    """A symmetric 0/1 graph as a convolution on `device` takes it."""
    if device.type != "cpu":
        return edges_of(graph).to(device)
    return Neighbours(graph.indptr.astype(np.int64), graph.indices.astype(np.int64))


def convolution(n_in: int, n_out: int, device: torch.device) -> nn.Module:
    """A gated convolution for `device`: PyTorch Geometric's on a GPU, on a CPU the same in compiled code.

    Weights and their names are the same in both. PyTorch Geometric is not imported for a CPU: that takes 2 s.
    """
    if device.type == "cpu":
        return GatedConvolution(n_in, n_out)
    from torch_geometric.nn import ResGatedGraphConv

    return ResGatedGraphConv(n_in, n_out)


class GatedConvolution(nn.Module):
    """ResGatedGraphConv (Bresson and Laurent 2017): y_i = W x_i + Σ_j sigmoid(k_i + q_j) ⊙ v_j over the neighbours j.

    The sum is one pass over the neighbours in compiled code.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.lin_key, self.lin_query, self.lin_value = (nn.Linear(n_in, n_out) for _ in range(3))
        self.lin_skip = nn.Linear(n_in, n_out, bias=False)
        self.bias = nn.Parameter(torch.zeros(n_out))
        for linear in (self.lin_key, self.lin_query, self.lin_value, self.lin_skip):
            linear.reset_parameters()  # a second time, as PyTorch Geometric does: a seed gives the same network

    def forward(self, x: Tensor, edges: Neighbours) -> Tensor:
        """`x` float32 [n_spots, n_in] to float32 [n_spots, n_out]."""
        linear = self.lin_key, self.lin_query, self.lin_value, self.lin_skip
        bias = torch.cat([*(part.bias for part in linear[:3]), self.bias])
        return _GatedSum.apply(F.linear(x, torch.cat([part.weight for part in linear]), bias), edges)


class _GatedSum(torch.autograd.Function):
    """s_i + Σ_j sigmoid(k_i + q_j) ⊙ v_j [n_spots, width] of [k, q, v, s] [n_spots, 4 · width], with its gradient.

    e^-k and e^-q are taken once for each spot, so that an edge costs a product and a division and no exponential.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, linear: Tensor, at: Neighbours) -> Tensor:
        width = linear.shape[1] // 4
        powers = (-linear[:, : 2 * width]).clamp_(-LARGEST, LARGEST).exp_()
        gated = linear[:, 3 * width :].clone(memory_format=torch.contiguous_format)
        _gated_sum(at.starts, at.indices, powers.numpy(), linear.detach().numpy(), gated.numpy())
        ctx.save_for_backward(powers, linear)
        ctx.at = at
        return gated

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        powers, linear = ctx.saved_tensors
        found = torch.empty_like(linear)
        arrays = (powers.numpy(), linear.numpy(), gradient.contiguous().numpy(), found.numpy())
        _gated_gradients(ctx.at.starts, ctx.at.indices, *arrays)
        return found, None


@compiled
def _gated_sum(
    starts: np.ndarray, indices: np.ndarray, powers: np.ndarray, linear: np.ndarray, out: np.ndarray
) -> None:
    """Adds Σ_j v_j / (1 + a_i b_j) to out_i; `powers` are [a, b] = e^-[k, q]."""
    one, n = np.float32(1), out.shape[1]
    for i in range(len(starts) - 1):
        a, total = powers[i, :n], out[i]
        for edge in range(starts[i], starts[i + 1]):
            j = indices[edge]
            b, v = powers[j, n:], linear[j, 2 * n : 3 * n]
            for c in range(n):
                total[c] += v[c] / (one + a[c] * b[c])


@compiled
def _gated_gradients(
    starts: np.ndarray,
    indices: np.ndarray,
    powers: np.ndarray,
    linear: np.ndarray,
    gradient: np.ndarray,
    out: np.ndarray,
) -> None:
    """The gradient of [k, q, v, s] for that of the sum; each spot's is gathered from its own neighbours (symmetry)."""
    one, n = np.float32(1), gradient.shape[1]
    for i in range(len(starts) - 1):
        out[i] = 0
        a, b, of_k, of_q, of_v = powers[i, :n], powers[i, n:], out[i, :n], out[i, n : 2 * n], out[i, 2 * n : 3 * n]
        for edge in range(starts[i], starts[i + 1]):
            j = indices[edge]
            a_j, b_j, v_j, g_j = powers[j, :n], powers[j, n:], linear[j, 2 * n : 3 * n], gradient[j]
            for c in range(n):
                gate = one / (one + a[c] * b_j[c])
                of_k[c] += v_j[c] * gate * (one - gate)
            for c in range(n):
                gate = one / (one + a_j[c] * b[c])
                passed = g_j[c] * gate
                of_q[c] += passed * (one - gate)
                of_v[c] += passed
        for c in range(n):
            of_k[c] *= gradient[i, c]
            of_q[c] *= linear[i, 2 * n + c]
            out[i, 3 * n + c] = gradient[i, c]
