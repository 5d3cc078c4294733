"""Fitted networks in a file: what is needed to run them again, on the section's own spots or on others."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from scipy import sparse

from efnst.embedding.gated import CPU
from efnst.embedding.network import EfnstNetwork
from efnst.embedding.options import NetworkOptions

FORMAT = 1


def affine_map(
    values: np.ndarray | sparse.csr_array, components: np.ndarray, is_standardised: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Weights [n_columns, n_components] and offset so that values @ weights + offset = components, float32.

    `components` [n_spots, n_components] are principal components of the centred columns of `values`, each times any
    factor; `is_standardised` tells whether the columns were scaled to standard deviation 1. Constant columns have
    weight 0.
    """
    n_spots, t = len(components), components.astype(np.float64)
    mean = np.asarray(values.sum(0), np.float64).ravel() / n_spots
    spread = np.ones(len(mean))
    if is_standardised:
        square = np.asarray(values.multiply(values).sum(0), np.float64).ravel() / n_spots
        variance = square - mean**2
        spread = np.sqrt(np.where(variance > 1e-10 * np.maximum(square, 1e-300), variance, np.inf))
    norm = (t**2).sum(0)
    direction = (values.T @ t - np.outer(mean, t.sum(0))) / spread[:, None] / norm
    scaled = direction / spread[:, None]
    shown = values @ scaled - mean @ scaled  # the components, each by the square of its factor too small
    weights = scaled * (norm / (shown * t).sum(0))
    return weights.astype(np.float32), -(mean @ weights).astype(np.float32)


def training_record(
    network: NetworkOptions,
    state: dict[str, np.ndarray],
    augmented: sparse.csr_array,
    inputs: np.ndarray,
    features: np.ndarray | None,
    n_image: int,
) -> dict:
    """One fitted network and the maps that lead to its `inputs` [n_spots, n_inputs].

    `augmented` [n_spots, n_genes] is what the expression components were made of; the last `n_image` inputs come from
    the image's `features` [n_spots, n_features].
    """
    n_expression = inputs.shape[1] - n_image
    weights, offset = affine_map(augmented, inputs[:, :n_expression], is_standardised=True)
    record = {"network": asdict(network), "state": state, "expression_weights": weights, "expression_offset": offset}
    if n_image:
        weights, offset = affine_map(features.astype(np.float64), inputs[:, n_expression:], is_standardised=False)
        record |= {"image_weights": weights, "image_offset": offset}
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


def fitted_network(
    state: dict, n_inputs: int, n_targets: int, options: NetworkOptions, device: torch.device = CPU
) -> EfnstNetwork:
    """The network with this state dictionary (tensors or arrays), ready to run."""
    network = EfnstNetwork(n_inputs, n_targets, options, device)
    network.load_state_dict({name: torch.as_tensor(values) for name, values in state.items()})
    return network.eval()


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
