"""Deep embedded clustering (Xie, Girshick and Farhadi 2016): the optional second stage of a training."""

import torch
from torch import Tensor


def soft_assignment(latent: Tensor, centres: Tensor) -> Tensor:
    """Student's t similarity of each spot to each centre, rows summing to 1, [n_spots, n_centres].

    q_ik ∝ (1 + |z_i - c_k|²)⁻¹ (their equation 1 with one degree of freedom).
    """
    similarity = 1 / (1 + torch.cdist(latent, centres).square())
    return similarity / similarity.sum(1, keepdim=True)


def target_distribution(q: Tensor) -> Tensor:
    """Sharpened assignments p_ik ∝ q_ik² / Σ_i q_ik, rows summing to 1 (their equation 3)."""
    weight = q.square() / q.sum(0)
    return weight / weight.sum(1, keepdim=True)


def clustering_loss(q: Tensor, target: Tensor) -> Tensor:
    """Kullback-Leibler divergence of `target` from `q` per spot."""
    return (target * (target.clamp_min(1e-12).log() - q.clamp_min(1e-12).log())).sum(1).mean()
