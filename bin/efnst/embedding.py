"""The learning step as a whole: neighbour weights, augmentation, features, networks, embeddings."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from anndata import AnnData
from scipy import sparse
from tqdm import tqdm

from efnst.components import dense_components, standardise, unit_scale, widest_to_one
from efnst.constants import SECTION, SPATIAL
from efnst.diffusion import count_precision, diffuse
from efnst.errors import EfnstError, check_choice
from efnst.expression import log_normalise, principal_components, spatially_variable_genes
from efnst.image_fusion import shows_texture, structured_components
from efnst.neighbour_weights import augment, neighbour_weights
from efnst.neighbours import graph_of_pairs, neighbour_graph, pairs_within
from efnst.reproducible import reproducible_torch
from efnst.saved_model import training_record
from efnst.training import TrainingOptions, train

BASELINE_NEIGHBOURS = 6
BASELINE_DIFFUSION = 0.5
FEWEST_SPOTS = 10
GENE_SHARES = (1 / 3, 2 / 3, 1)  # of n_genes; a view draws one of each of these three
PC_SHARES = (1 / 2, 2 / 3, 1)  # of expression_pcs
DIFFUSION_FACTORS = (1, 2, 4)
IMAGE_FUSIONS = ("late", "weights", "concatenate", "none")
EMBEDDINGS = ("decoded", "latent_skip", "latent")
TARGETS = ("diffused", "inputs")
GRAPHS = ("nearest", "radius")
MANY_SPOTS = 20_000  # from here on one training at a time, for memory


@dataclass(frozen=True)
class EmbeddingOptions:
    """How expression and image features are made, how spots are joined, and what of the network is kept."""

    min_spots_per_gene: int = 3
    n_genes: int = 3000
    expression_pcs: int = 30
    image_pcs: int = 50
    image_fusion: str = "late"  # one of IMAGE_FUSIONS
    image_weight: float = 1.0
    n_neighbours: int = 4
    augmentation: float = 0.2
    graph: str = "nearest"  # one of GRAPHS
    graph_neighbours: int = 6
    graph_radius: float = 1.5  # pitches; 1.5 joins touching spots: the hexagonal ring of 6
    diffusion: float = 0.5
    weigh_by_counts: bool = True
    target: str = "diffused"  # one of TARGETS
    embedding: str = "decoded"  # one of EMBEDDINGS
    embedding_dims: int = 25
    vary_views: bool = True
    expression_rep: str = ""  # features in obsm that take the place of components of the expression
    save_model: bool = False

    def __post_init__(self) -> None:
        choices = {"image_fusion": IMAGE_FUSIONS, "graph": GRAPHS, "target": TARGETS, "embedding": EMBEDDINGS}
        for name, allowed in choices.items():
            check_choice(name, getattr(self, name), allowed)
        if self.save_model and self.expression_rep:
            message = "Expected save_model or expression_rep, found both: a model is saved with its map from genes."
            raise EfnstError(message)


@dataclass(frozen=True)
class Prepared:
    """What all trainings of a section share; the graphs are symmetric 0/1 [n_spots, n_spots].

    `genes` are indices by falling Moran's I; `precision` [n_spots] says how well a spot's expression is known; `image`
    [n_spots, ·] are the image components, `features` [n_spots, n_features] what they were made of, and `structured`
    those that become inputs and targets, weighted; `given` [n_spots, ·] are the features that take the place of
    components of the expression, where there are any.
    """

    positions: np.ndarray
    pitch: float
    counts: sparse.csr_array
    normalised: sparse.csr_array
    genes: np.ndarray
    precision: np.ndarray
    nearest_graph: sparse.csr_array
    graph: sparse.csr_array
    image: np.ndarray | None
    structured: np.ndarray | None
    features: np.ndarray | None
    given: np.ndarray | None = None

    def expression(self, genes: np.ndarray, n_components: int, seed: int) -> np.ndarray:
        """Components of the expression of `genes`, or of the features given, float32 [n_spots, ≤ n_components]."""
        if self.given is not None:
            return dense_components(self.given, n_components)
        return principal_components(self.normalised[:, genes], n_components, seed)

    def augmented(
        self, weights: sparse.csr_array, strength: float, genes: np.ndarray, n_components: int, seed: int
    ) -> np.ndarray:
        """The same after every spot was augmented by its neighbours."""
        if self.given is not None:
            return dense_components(self.given + strength * (weights @ self.given), n_components)
        counts = augment(self.counts, weights, strength)
        return principal_components(log_normalise(counts)[:, genes], n_components, seed)


def learn_embeddings(
    section: AnnData,
    features: np.ndarray | None,
    options: EmbeddingOptions,
    training: TrainingOptions,
    device: torch.device,
    n_seeds: int = 1,
    threads: int = 1,
    patch_um: Sequence[float] = (190.0,),
) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays of embedding.npz and the record of training.json for `section`.

    `features` float32 [n_spots, n_features] are the image features of patches `patch_um` wide, where there is an image.
    The network is trained `n_seeds` times, with seeds that follow from `training.seed`; on the CPU several trainings
    run at once, one per thread. With `options.save_model` the record has `models`, one per training (saved_model.py).
    """
    shared = prepare(section, features, patch_um, options)
    seeds = np.random.SeedSequence(training.seed).generate_state(n_seeds)
    runs = _run_all(shared, options, [replace(training, seed=int(seed)) for seed in seeds], device, threads)
    expression = shared.expression(np.sort(shared.genes), options.expression_pcs, training.seed)
    arrays = {f"embedding_{number}": embedding for number, (embedding, _) in enumerate(runs)}
    arrays |= {"expression": expression, "diffused": diffuse(expression, shared.nearest_graph, BASELINE_DIFFUSION)}
    if shared.image is not None:
        arrays["image_pcs"] = shared.image
    records = [record for _, record in runs]
    models = {"models": [record.pop("model") for record in records]} if options.save_model else {}
    settings = {name: value for name, value in asdict(training).items() if name != "network"}
    return arrays, models | {
        "seed": training.seed,
        "epochs": max(record["epochs"] for record in records),
        "seconds": round(sum(record["seconds"] for record in records), 3),
        "n_genes_used": len(shared.genes),
        "n_spots_without_neighbours": records[0]["n_spots_without_neighbours"],
        "image": shared.image is not None,
        "n_image_components_fused": 0 if shared.structured is None else shared.structured.shape[1],
        "loss": records[0].pop("loss"),
        "runs": [{key: value for key, value in record.items() if key != "loss"} for record in records],
        "parameters": asdict(options) | asdict(training.network) | settings | {"n_seeds": n_seeds},
    }


def prepare(
    section: AnnData, features: np.ndarray | None, patch_um: Sequence[float], options: EmbeddingOptions
) -> Prepared:
    """What all trainings share; raises an error where there is too little to learn from."""
    if section.n_obs < FEWEST_SPOTS:
        raise EfnstError(f"Expected at least {FEWEST_SPOTS} spots to learn from, found {section.n_obs}.")
    positions = np.asarray(section.obsm[SPATIAL], float)
    pitch = float(section.uns[SECTION]["pitch_px"])
    counts = sparse.csr_array(section.X)
    nearest = neighbour_graph(positions, BASELINE_NEIGHBOURS)
    normalised = log_normalise(counts)
    genes = spatially_variable_genes(normalised, nearest, options.n_genes, options.min_spots_per_gene)
    if len(genes) < 2:
        raise EfnstError(
            f"Expected at least 2 genes seen in {options.min_spots_per_gene} or more spots, found {len(genes)}. "
            "Lower min_spots_per_gene, or look at the section's counts."
        )
    if options.graph == "radius":
        graph = graph_of_pairs(pairs_within(positions, options.graph_radius * pitch), section.n_obs)
        if graph.nnz == 0:
            raise EfnstError(
                f"Expected spots closer than {options.graph_radius:g} pitches, found none. "
                "Choose a larger graph_radius."
            )
    else:
        graph = neighbour_graph(positions, options.graph_neighbours)
    use_image = features is not None and options.image_fusion != "none"
    image = dense_components(features, options.image_pcs) if use_image else None
    structured = None
    if image is not None and options.image_fusion == "late" and shows_texture(section, min(patch_um)):
        patch = max(patch_um) / float(section.uns[SECTION]["um_per_px"])
        structured = structured_components(image, positions, pitch, patch) * options.image_weight
    elif image is not None and options.image_fusion == "concatenate":
        structured = unit_scale(image) * options.image_weight
    precision = count_precision(counts.sum(1)) if options.weigh_by_counts else np.ones(section.n_obs)
    given = _given_features(section, options.expression_rep) if options.expression_rep else None
    return Prepared(
        *(positions, pitch, counts, normalised, genes, precision, nearest, graph, image, structured, features, given)
    )


def _given_features(section: AnnData, name: str) -> np.ndarray:
    """Features that were computed before and kept beside the counts, float32 [n_spots, ·]."""
    if name not in section.obsm:
        raise EfnstError(
            f"Expected the features {name} in obsm of section.h5ad, found {', '.join(section.obsm)}: read the section "
            "with the same expression_rep."
        )
    return np.asarray(section.obsm[name], np.float32)


def view_of(options: EmbeddingOptions, seed: int) -> EmbeddingOptions:
    """The options of one training: with `vary_views`, numbers of genes and components and the diffusion are drawn.

    Trainings that see the section differently err differently, so that their consensus errs less.
    """
    if not options.vary_views:
        return options
    draw = np.random.default_rng(seed)
    return replace(
        options,
        n_genes=max(2, round(options.n_genes * draw.choice(GENE_SHARES))),
        expression_pcs=max(1, round(options.expression_pcs * draw.choice(PC_SHARES))),
        diffusion=float(options.diffusion * draw.choice(DIFFUSION_FACTORS)),
    )


def learn_once(
    shared: Prepared, options: EmbeddingOptions, training: TrainingOptions, device: torch.device
) -> tuple[np.ndarray, dict]:
    """Embedding float32 [n_spots, ·] of one training and its record.

    The network reads the principal components of the augmented expression and, with late fusion, the image components
    that have spatial structure. It decodes the components of the plain expression (and the same of the image), diffused
    over the graph. The embedding `decoded` is the first `embedding_dims` principal components of what it was asked for
    and what it decoded, side by side: the skip path keeps what diffusion alone knows.
    """
    view = view_of(options, training.seed)
    genes = np.sort(shared.genes[: view.n_genes])
    expression = shared.expression(genes, view.expression_pcs, training.seed)
    weights_image = shared.image if view.image_fusion in ("late", "weights") else None
    weights = neighbour_weights(shared.positions, shared.pitch, expression, weights_image, view.n_neighbours)
    inputs = unit_scale(shared.augmented(weights, view.augmentation, genes, view.expression_pcs, training.seed))
    targets = unit_scale(diffuse(expression, shared.nearest_graph, view.diffusion, shared.precision))
    if shared.structured is not None:
        inputs = np.hstack([inputs, shared.structured])
        targets = np.hstack([targets, diffuse(shared.structured, shared.nearest_graph, view.diffusion)])
    if view.target == "inputs":
        targets = inputs
    trained = train(inputs, targets, shared.graph, training, device)
    if view.embedding == "latent":
        embedding = trained.latent
    elif view.embedding == "latent_skip":
        embedding = np.hstack([standardise(targets), standardise(trained.latent)])
    else:
        both = np.hstack([widest_to_one(targets), widest_to_one(trained.decoded)])
        embedding = dense_components(both, view.embedding_dims)
    model = {}
    if options.save_model:
        augmented = log_normalise(augment(shared.counts, weights, view.augmentation))[:, genes]
        n_image = 0 if shared.structured is None else shared.structured.shape[1]
        kept = training_record(training.network, trained.state, augmented, inputs, shared.features, n_image)
        model["model"] = kept | {"seed": training.seed, "gene_indices": genes, "augmentation": view.augmentation}
    return embedding, model | {
        "seed": training.seed,
        "n_genes": len(genes),
        "expression_pcs": expression.shape[1],
        "diffusion": view.diffusion,
        "epochs": len(trained.loss["graph"]),
        "seconds": round(trained.seconds, 3),
        "n_spots_without_neighbours": int((np.diff(weights.indptr) == 0).sum()) if view.n_neighbours else 0,
        "loss": trained.loss,
    }


def _run_all(
    shared: Prepared, options: EmbeddingOptions, trainings: list[TrainingOptions], device: torch.device, threads: int
) -> list[tuple[np.ndarray, dict]]:
    """All trainings, several at once where cores and memory allow; the result does not depend on how many."""
    workers = min(threads, len(trainings)) if device.type == "cpu" and len(shared.positions) < MANY_SPOTS else 1
    progress = {"desc": "training", "unit": "network", "total": len(trainings), "disable": None}
    if workers == 1:
        return [_run(training, shared, options, device) for training in tqdm(trainings, **progress)]
    context = multiprocessing.get_context(_start_method())
    with ProcessPoolExecutor(workers, context, _share, (shared, options, device)) as pool:
        return list(tqdm(pool.map(_run_in_worker, trainings), **progress))


def _start_method() -> str:
    """How workers start: a forked one shares memory with this process, but PyTorch fails there once it saw a GPU."""
    return "spawn" if torch.cuda.is_available() else "fork"


def _run(
    training: TrainingOptions, shared: Prepared, options: EmbeddingOptions, device: torch.device
) -> tuple[np.ndarray, dict]:
    """One training with its own seed, on one thread."""
    with reproducible_torch(1, training.seed):
        return learn_once(shared, options, training, device)


_SHARED: dict[str, tuple] = {}  # in a worker: the further arguments of `_run`


def _share(*arguments: object) -> None:
    """Keep in a worker what `_run` is given beside a training."""
    _SHARED["arguments"] = arguments


def _run_in_worker(training: TrainingOptions) -> tuple[np.ndarray, dict]:
    """`_run` with what the worker was started with."""
    return _run(training, *_SHARED["arguments"])
