"""Fitted networks: a file that holds no code and from which the embedding follows again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from anndata import AnnData
from tests.support.learning import learned_alone

from efnst.embedding.augmentation import mixing, neighbour_weights
from efnst.embedding.gated import CPU, graph_on
from efnst.embedding.image_features import ImageFeatures
from efnst.embedding.options import EmbeddingOptions, TrainingOptions
from efnst.embedding.saved_model import inputs_of, network_of, save_models, training_record
from efnst.genes.expression import log_normalise
from efnst.geometry.neighbours import neighbour_graph


def test_the_embedding_follows_from_the_file(simulated_section: Callable[..., AnnData], tmp_path: Path) -> None:
    section = simulated_section(120)
    features = np.random.default_rng(1).normal(size=(120, 12)).astype(np.float32)
    features[:, :3] += 4 * np.sin(section.obsm["spatial"][:, :1] / 500)
    options = EmbeddingOptions(embedding="latent", save_model=True)
    training = TrainingOptions(n_seeds=2, epochs=15)
    arrays, _, found = learned_alone(section, ImageFeatures(features), options, training)
    pairs = zip(found.learned.spaces, found.record["runs"], strict=True)
    records = [training_record(space, run["seed"], found.learned) for space, run in pairs]
    save_models(tmp_path / "S1" / "model.pt", records, {"sample": "S1"})
    loaded = torch.load(tmp_path / "S1" / "model.pt", weights_only=True)
    assert (loaded["format"], loaded["sample"], len(loaded["trainings"])) == (1, "S1", 2)

    positions, pitch = section.obsm["spatial"], section.uns["section"]["pitch_px"]
    graph = graph_on(neighbour_graph(positions, options.graph_neighbours), CPU)
    for number, kept in enumerate(loaded["trainings"]):
        genes = section.var_names.get_indexer(kept["genes"])
        expression = found.learned.spaces[number].expression.of(found.learned.part(section, None, ""))
        near = neighbour_weights(positions, pitch, expression, arrays["image_pcs"], options.n_neighbours)
        augmented = log_normalise(mixing(near, kept["augmentation"]) @ section.X)[:, genes]
        with torch.no_grad():
            latent = network_of(kept)(inputs_of(kept, augmented, features), graph).latent
        np.testing.assert_allclose(latent.numpy(), arrays[f"embedding_{number}"], rtol=1e-2, atol=1e-3)
