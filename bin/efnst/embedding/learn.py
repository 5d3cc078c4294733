"""The learning step as a whole: neighbour weights, augmentation, features, networks, embeddings."""

import ctypes
import multiprocessing
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from anndata import AnnData
from scipy import sparse
from tqdm import tqdm

from efnst.embedding.augmentation import neighbour_weights
from efnst.embedding.diffusion import diffuse
from efnst.embedding.image_features import ImageFeatures
from efnst.embedding.options import EmbeddingOptions, TrainingOptions
from efnst.embedding.prepare import Prepared, prepare
from efnst.embedding.reproducible import reproducible_torch
from efnst.embedding.saved_model import fitted_network, training_record
from efnst.embedding.training import Trained, train
from efnst.embedding.views import View, view_of
from efnst.embedding.whole import Whole
from efnst.genes.components import dense_components, first_deviation, unit_scale, widest_to_one
from efnst.program.options import given_values

BASELINE_DIFFUSION = 0.5
PR_SET_PDEATHSIG = 1  # of prctl(2)
_SHARED: dict[str, tuple] = {}  # in a worker: what it runs, and the arguments beside a training
Result = TypeVar("Result")


def learn_embeddings(
    section: AnnData,
    features: ImageFeatures | None,
    options: EmbeddingOptions,
    training: TrainingOptions,
    device: torch.device,
    threads: int = 1,
) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays of embedding.npz and the record of training.json for `section`.

    `features` are those of the image, where there is one. The network is trained `training.n_seeds` times, with seeds
    that follow from `training.seed`; on the CPU several trainings run at once, one per thread. With
    `options.save_model` the record has `models`, one per training (saved_model.py).
    """
    shared = prepare(section, features, options)
    seeds = np.random.SeedSequence(training.seed).generate_state(training.n_seeds)
    runs = _run_all(shared, options, [replace(training, seed=int(seed)) for seed in seeds], device, threads)
    arrays = {f"embedding_{number}": embedding for number, (embedding, _) in enumerate(runs)}
    arrays |= _baselines(shared, options, training.seed)
    records = [record for _, record in runs]
    models = {"models": [record.pop("model") for record in records]} if options.save_model else {}
    of_image = {
        "image": shared.image is not None,
        "n_image_components_fused": 0 if shared.structured is None else shared.structured.shape[1],
    }
    return arrays, models | record_of(records, len(shared.genes), options, training) | of_image


def record_of(records: list[dict], n_genes: int, options: EmbeddingOptions, training: TrainingOptions) -> dict:
    """What training.json says of trainings with these `records` on so many genes."""
    parameters = given_values(options, training.network, training)
    del parameters["network"]
    return {
        "seed": training.seed,
        "epochs": max(record["epochs"] for record in records),
        "seconds": round(sum(record["seconds"] for record in records), 3),
        "n_genes_used": n_genes,
        "n_spots_without_neighbours": records[0]["n_spots_without_neighbours"],
        "loss": records[0]["loss"],
        "runs": [{key: value for key, value in record.items() if key != "loss"} for record in records],
        "parameters": parameters,
    }


def _baselines(shared: Prepared, options: EmbeddingOptions, seed: int) -> dict[str, np.ndarray]:
    """The spaces of the baselines, and the components of the image where there is one."""
    genes, spots = np.sort(shared.genes), shared.whole or shared
    values = shared.expression(genes)
    expression = shared.components(values, options.expression_pcs, seed)
    if shared.whole is not None:
        expression = shared.whole.components(genes, values, expression)
    arrays = {"expression": expression, "diffused": diffuse(expression, spots.nearest_graph, BASELINE_DIFFUSION)}
    fused = {} if spots.structured is None else {"fused": spots.structured}
    return arrays | fused | ({} if spots.image is None else {"image_pcs": spots.image})


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
    seen = _seen(shared, view, options, training.seed)
    trained = train(seen.inputs, seen.targets, shared.graph, training, device)
    shown = (seen.targets, trained.latent, trained.decoded, seen.weights)
    if shared.whole is not None:
        shown = _of_whole(shared, view, seen, trained, options, training, device)
    targets, latent, decoded, weights = shown
    if options.embedding == "latent":
        embedding = latent
    else:
        embedding = dense_components(
            np.hstack([widest_to_one(targets), widest_to_one(decoded)]), options.embedding_dims
        )
    model = {}
    if options.save_model:
        n_image = 0 if shared.structured is None else shared.structured.shape[1]
        kept = training_record(training.network, trained.state, seen.augmented, seen.inputs, shared.features, n_image)
        about = {"seed": training.seed, "gene_indices": seen.genes, "augmentation": options.augmentation}
        model["model"] = kept | about
    return embedding, model | {
        "seed": training.seed,
        "n_genes": len(seen.genes),
        "expression_pcs": seen.expression.shape[1],
        "diffusion": view.diffusion,
        "epochs": len(trained.loss["graph"]),
        "seconds": round(trained.seconds, 3),
        "n_spots_without_neighbours": int((np.diff(weights.indptr) == 0).sum()) if options.n_neighbours else 0,
        "loss": trained.loss,
    }


@dataclass(frozen=True)
class _Seen:
    """What one training sees: values and their components, [n_spots, ·], and the weights of neighbours."""

    genes: np.ndarray
    values: np.ndarray | sparse.csr_array
    expression: np.ndarray
    weights: sparse.csr_array
    augmented: np.ndarray | sparse.csr_array
    inputs: np.ndarray
    targets: np.ndarray
    target_scale: float


def _seen(shared: Prepared, view: View, options: EmbeddingOptions, seed: int) -> _Seen:
    """Inputs and targets of one training."""
    genes = np.sort(shared.genes[: view.n_genes])
    values = shared.expression(genes)
    expression = shared.components(values, view.expression_pcs, seed)
    weights = _weights(shared, expression, options)
    augmented = shared.augmented(weights, options.augmentation, genes)
    inputs = unit_scale(shared.components(augmented, view.expression_pcs, seed))
    smooth = diffuse(expression, shared.nearest_graph, view.diffusion, shared.precision)
    inputs, targets = _fused(shared, view, options, inputs, unit_scale(smooth))
    return _Seen(genes, values, expression, weights, augmented, inputs, targets, first_deviation(smooth))


def _weights(spots: Prepared | Whole, expression: np.ndarray, options: EmbeddingOptions) -> sparse.csr_array:
    """The weights with which neighbours augment a spot."""
    image = spots.image if options.image_fusion in ("late", "weights") else None
    return neighbour_weights(spots.positions, spots.pitch, expression, image, options.n_neighbours)


def _fused(
    spots: Prepared | Whole, view: View, options: EmbeddingOptions, inputs: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets with the image components that have spatial structure beside them."""
    if spots.structured is not None:
        inputs = np.hstack([inputs, spots.structured])
        targets = np.hstack([targets, diffuse(spots.structured, spots.nearest_graph, view.diffusion)])
    return inputs, inputs if options.target == "inputs" else targets


def _of_whole(
    shared: Prepared,
    view: View,
    seen: _Seen,
    trained: Trained,
    options: EmbeddingOptions,
    training: TrainingOptions,
    device: torch.device,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, sparse.csr_array]:
    """Targets, latent and decoded values and weights of neighbours, of all units, as learned from the sketch."""
    whole, n_expression = shared.whole, seen.expression.shape[1]
    expression = whole.components(seen.genes, seen.values, seen.expression)
    weights = _weights(whole, expression, options)
    scale = float(np.median(shared.augmented_totals(seen.weights, options.augmentation)))
    learned = (seen.augmented, seen.inputs[:, :n_expression])
    inputs = whole.augmented_components(weights, options.augmentation, scale, seen.genes, learned)
    smooth = diffuse(expression, whole.nearest_graph, view.diffusion, whole.precision)
    inputs, targets = _fused(whole, view, options, inputs, (smooth / seen.target_scale).astype(np.float32))
    network = fitted_network(trained.state, inputs.shape[1], targets.shape[1], training.network, device)
    encoded = whole.encoded(inputs, network, device)
    return targets, encoded.latent.cpu().numpy(), encoded.decoded.cpu().numpy(), weights


def _run_all(
    shared: Prepared, options: EmbeddingOptions, trainings: list[TrainingOptions], device: torch.device, threads: int
) -> list[tuple[np.ndarray, dict]]:
    """All trainings, several at once where there are cores; the result does not depend on how many."""
    return run_at_once(_run, trainings, (shared, options, device), device, threads)


def run_at_once(
    run: Callable[..., Result],
    trainings: list[TrainingOptions],
    arguments: tuple,
    device: torch.device,
    threads: int,
) -> list[Result]:
    """`run` of each training and the `arguments` that all share, several at once on the CPU."""
    workers = min(threads, len(trainings)) if device.type == "cpu" else 1
    progress = {"desc": "training", "unit": "network", "total": len(trainings), "disable": None}
    if workers == 1:
        return [run(training, *arguments) for training in tqdm(trainings, **progress)]
    context = multiprocessing.get_context(_start_method())
    try:
        with ProcessPoolExecutor(workers, context, _share, (run, *arguments)) as pool:
            return list(tqdm(pool.map(_run_in_worker, trainings), **progress))
    except BrokenProcessPool as error:
        raise MemoryError("A training was killed, as the system does where memory runs out.") from error


def _start_method() -> str:
    """How workers start: a forked one shares memory with this process, but PyTorch fails there once it saw a GPU."""
    return "spawn" if torch.cuda.is_available() else "fork"


def _run(
    training: TrainingOptions, shared: Prepared, options: EmbeddingOptions, device: torch.device
) -> tuple[np.ndarray, dict]:
    """One training with its own seed, on one thread."""
    with reproducible_torch(1, training.seed):
        return learn_once(shared, options, training, device)


def _share(*arguments: object) -> None:
    """Keep in a worker what runs, and what it is given beside a training; it ends with the program that started it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _SHARED["arguments"] = arguments


def _run_in_worker(training: TrainingOptions) -> object:
    """One training with what the worker was started with."""
    run, *arguments = _SHARED["arguments"]
    return run(training, *arguments)
