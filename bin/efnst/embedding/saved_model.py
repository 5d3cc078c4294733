"""Fitted networks in a file: what is needed to run them again, on the section's own spots or on others."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from scipy import sparse

from efnst.embedding.cohort import Learned
from efnst.embedding.network import EfnstNetwork, fitted_network
from efnst.embedding.options import NetworkOptions
from efnst.embedding.space import Space

FORMAT = 1


def training_record(space: Space, seed: int, learned: Learned) -> dict:
    """One fitted network of a section by itself, its genes, and the maps that lead to its inputs."""
    lent, image, options = space.lent, space.image, learned.options
    weights = lent.moments[1][:, None] * lent.weights / space.lent_deviation
    record = {
        "seed": seed,
        "network": asdict(learned.training.network),
        "state": space.state,
        "genes": learned.genes.symbols[lent.genes].tolist(),
        "augmentation": options.augmentation,
        "expression_weights": weights.astype(np.float32),
        "expression_offset": -(lent.moments[0] @ weights).astype(np.float32),
    }
    if image is not None and image.fusion is not None:
        fused = image.fusion.of(np.vstack([image.weights, image.offset])) * np.float32(options.image_weight)
        record |= {"image_weights": fused[:-1], "image_offset": fused[-1]}
    return record


def save_models(path: Path, trainings: list[dict], about: dict) -> None:
    """Write fitted networks; `torch.load(path, weights_only=True)` reads them, without running any code of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"format": FORMAT} | about | {"trainings": [_tensors(training) for training in trainings]}, path)


def network_of(training: dict) -> EfnstNetwork:
    """The network of one of `trainings`, ready to run."""
    state = training["state"]
    n_inputs = sum(training[name].shape[0] for name in ("expression_offset", "image_offset") if name in training)
    n_targets = [weights for name, weights in state.items() if name.startswith("decoder.")][-1].shape[0]
    return fitted_network(state, n_inputs, n_targets, NetworkOptions(**training["network"]))


def inputs_of(training: dict, expression: sparse.csr_array, features: np.ndarray | None = None) -> torch.Tensor:
    """The network's inputs float32 [n_spots, n_inputs].

    `expression` [n_spots, n_genes] is log-normalised after augmentation, its columns the training's `genes`; `features`
    [n_spots, n_features] are those of features.npz, needed where the training has `image_weights`.
    """
    parts = [expression @ training["expression_weights"].numpy() + training["expression_offset"].numpy()]
    if "image_weights" in training:
        parts.append(features @ training["image_weights"].numpy() + training["image_offset"].numpy())
    return torch.from_numpy(np.hstack(parts).astype(np.float32))


def _tensors(value: object) -> object:
    """`value` with its arrays as tensors, which a file may hold without pickled code."""
    if isinstance(value, dict):
        return {key: _tensors(inner) for key, inner in value.items()}
    return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value
