"""The learning step as a whole: neighbour weights, augmentation, expression features, network, embedding."""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from anndata import AnnData
from scipy import sparse
from sklearn.decomposition import PCA

from efnst.constants import SECTION, SPATIAL
from efnst.diffusion import diffuse
from efnst.errors import EfnstError
from efnst.expression import log_normalise, principal_components, spatially_variable_genes
from efnst.neighbour_weights import augment, neighbour_weights
from efnst.neighbours import neighbour_graph
from efnst.training import TrainingOptions, train

BASELINE_NEIGHBOURS = 6
FEWEST_SPOTS = 10


@dataclass(frozen=True)
class EmbeddingOptions:
    """How expression and image features are made and how spots are joined."""

    min_spots_per_gene: int = 3
    n_genes: int = 3000
    expression_pcs: int = 30
    image_pcs: int = 50
    n_neighbours: int = 4
    augmentation: float = 0.2
    graph_neighbours: int = 6


def learn_embedding(
    section: AnnData,
    features: np.ndarray | None,
    options: EmbeddingOptions,
    training: TrainingOptions,
    device: torch.device,
) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays of embedding.npz and the record of training.json for `section`.

    `features` float32 [n_spots, n_features] are the image features, where there is an image.

    The network reads the principal components of the augmented expression and decodes those of the plain expression
    diffused over the graph. The embedding is [diffused components | h | μ], each column with standard deviation 1: the
    skip path keeps what diffusion alone knows.
    """
    if section.n_obs < FEWEST_SPOTS:
        raise EfnstError(f"Expected at least {FEWEST_SPOTS} spots to learn from, found {section.n_obs}.")
    positions = np.asarray(section.obsm[SPATIAL], float)
    counts = sparse.csr_array(section.X)
    image = image_components(features, options.image_pcs, training.seed) if features is not None else None
    baseline_graph = neighbour_graph(positions, BASELINE_NEIGHBOURS)
    normalised = log_normalise(counts)
    genes = spatially_variable_genes(normalised, baseline_graph, options.n_genes, options.min_spots_per_gene)
    if len(genes) < 2:
        raise EfnstError(
            f"Expected at least 2 genes seen in {options.min_spots_per_gene} or more spots, found {len(genes)}. "
            "Lower min_spots_per_gene, or look at the section's counts."
        )
    expression = principal_components(normalised[:, genes], options.expression_pcs, training.seed)
    pitch = float(section.uns[SECTION]["pitch_px"])
    weights = neighbour_weights(positions, pitch, expression, image, options.n_neighbours)
    augmented = log_normalise(augment(counts, weights, options.augmentation))[:, genes]
    inputs = principal_components(augmented, options.expression_pcs, training.seed)
    diffused = diffuse(expression, baseline_graph)
    graph = neighbour_graph(positions, options.graph_neighbours)
    trained = train(unit_scale(inputs), unit_scale(diffused), graph, training, device)
    embedding = np.hstack([standardise(diffused), standardise(trained.latent)])
    arrays = {"embedding": embedding, "diffused": diffused, "expression": expression}
    if image is not None:
        arrays["image_pcs"] = image
    record = {
        "epochs": len(trained.loss["graph"]),
        "seed": training.seed,
        "seconds": round(trained.seconds, 3),
        "n_genes_used": len(genes),
        "n_spots_without_neighbours": int((np.diff(weights.indptr) == 0).sum()) if options.n_neighbours else 0,
        "image": image is not None,
        "loss": trained.loss,
        "parameters": asdict(options) | asdict(training),
    }
    return arrays, record


def image_components(features: np.ndarray, n_components: int, seed: int) -> np.ndarray:
    """Principal component scores of the image features, float32 [n_spots, ≤ min(n_components, n_spots - 1)]."""
    n_components = min(n_components, features.shape[0] - 1, features.shape[1])
    pca = PCA(n_components, svd_solver="covariance_eigh", random_state=seed)
    return pca.fit_transform(features.astype(np.float64)).astype(np.float32)


def unit_scale(components: np.ndarray) -> np.ndarray:
    """Components divided by the standard deviation of the first one, so that their proportions stay."""
    return (components / max(float(components[:, 0].std()), 1e-12)).astype(np.float32)


def standardise(values: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and standard deviation 1, float32; constant columns become 0."""
    std = values.std(0)
    return ((values - values.mean(0)) / np.where(std > 1e-8, std, np.inf)).astype(np.float32)
