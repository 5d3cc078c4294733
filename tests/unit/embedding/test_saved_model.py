"""Fitted networks: a file that holds no code and from which the embedding follows again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from anndata import AnnData
from scipy import sparse

from efnst.embedding.augmentation import augment, neighbour_weights
from efnst.embedding.gated import CPU, graph_on
from efnst.embedding.image_features import ImageFeatures
from efnst.embedding.learn import learn_embeddings
from efnst.embedding.options import EmbeddingOptions, TrainingOptions
from efnst.embedding.prepare import prepare
from efnst.embedding.saved_model import affine_map, inputs_of, network_of, save_models
from efnst.embedding.views import view_of
from efnst.genes.expression import log_normalise, principal_components


def test_components_follow_from_an_affine_map() -> None:
    draw = np.random.default_rng(0)
    values = sparse.csr_array(draw.poisson(2.0, (80, 30)).astype(np.float32))
    values = sparse.csr_array(sparse.hstack([values, np.ones((80, 1), np.float32)]))  # with a constant column
    components = principal_components(values, 5, 0) * np.array([0.3, 2, 1, 7, 0.01])
    weights, offset = affine_map(values, components, is_standardised=True)
    np.testing.assert_allclose(values @ weights + offset, components, rtol=1e-3, atol=1e-4)
    assert (weights[-1] == 0).all()


def test_the_embedding_follows_from_the_file(simulated_section: Callable[..., AnnData], tmp_path: Path) -> None:
    section = simulated_section(120)
    features = np.random.default_rng(1).normal(size=(120, 12)).astype(np.float32)
    features[:, :3] += 4 * np.sin(section.obsm["spatial"][:, :1] / 500)
    options = EmbeddingOptions(embedding="latent", save_model=True)
    training = TrainingOptions(n_seeds=2, epochs=15)
    arrays, record = learn_embeddings(section, ImageFeatures(features), options, training, torch.device("cpu"))
    save_models(tmp_path / "S1" / "model.pt", record["models"], {"sample": "S1"})
    loaded = torch.load(tmp_path / "S1" / "model.pt", weights_only=True)
    assert (loaded["format"], loaded["sample"], len(loaded["trainings"])) == (1, "S1", 2)

    shared = prepare(section, ImageFeatures(features), options)
    graph = graph_on(shared.graph, CPU)
    for number, kept in enumerate(loaded["trainings"]):
        view, genes = view_of(options, kept["seed"]), kept["gene_indices"].numpy()
        expression = principal_components(shared.normalised[:, genes], view.expression_pcs, kept["seed"])
        near = neighbour_weights(shared.positions, shared.pitch, expression, shared.image, options.n_neighbours)
        augmented = log_normalise(augment(shared.counts, near, kept["augmentation"]))[:, genes]
        with torch.no_grad():
            latent = network_of(kept)(inputs_of(kept, augmented, features), graph).latent
        np.testing.assert_allclose(latent.numpy(), arrays[f"embedding_{number}"], rtol=1e-2, atol=1e-3)


def test_nothing_is_kept_unless_asked_for(simulated_section: Callable[..., AnnData]) -> None:
    _, record = learn_embeddings(
        simulated_section(60), None, EmbeddingOptions(), TrainingOptions(n_seeds=1, epochs=2), torch.device("cpu")
    )
    assert "models" not in record and all("model" not in run for run in record["runs"])
