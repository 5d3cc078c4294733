"""The learning step as a whole: neighbour weights, augmentation, features, networks, embeddings."""

import ctypes
import multiprocessing
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import numpy as np
import torch
from anndata import AnnData
from tqdm import tqdm

from efnst.embedding.augmentation import augment, neighbour_weights
from efnst.embedding.diffusion import diffuse
from efnst.embedding.options import EmbeddingOptions, TrainingOptions
from efnst.embedding.prepare import Prepared, prepare
from efnst.embedding.reproducible import reproducible_torch
from efnst.embedding.saved_model import training_record
from efnst.embedding.training import train
from efnst.embedding.views import view_of
from efnst.genes.components import dense_components, unit_scale, widest_to_one
from efnst.genes.expression import log_normalise
from efnst.program.options import given_values

BASELINE_DIFFUSION = 0.5
PR_SET_PDEATHSIG = 1  # of prctl(2)
MANY_SPOTS = 20_000  # from here on one training at a time, for memory
_SHARED: dict[str, tuple] = {}  # in a worker: the further arguments of `_run`


def learn_embeddings(
    section: AnnData,
    features: np.ndarray | None,
    options: EmbeddingOptions,
    training: TrainingOptions,
    device: torch.device,
    threads: int = 1,
    patch_um: Sequence[float] = (190.0,),
) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays of embedding.npz and the record of training.json for `section`.

    `features` float32 [n_spots, n_features] are the image features of patches `patch_um` wide, where there is an image.
    The network is trained `training.n_seeds` times, with seeds that follow from `training.seed`; on the CPU several
    trainings run at once, one per thread. With `options.save_model` the record has `models`, one per training
    (saved_model.py).
    """
    shared = prepare(section, features, patch_um, options)
    seeds = np.random.SeedSequence(training.seed).generate_state(training.n_seeds)
    runs = _run_all(shared, options, [replace(training, seed=int(seed)) for seed in seeds], device, threads)
    expression = shared.expression(np.sort(shared.genes), options.expression_pcs, training.seed)
    arrays = {f"embedding_{number}": embedding for number, (embedding, _) in enumerate(runs)}
    arrays |= {"expression": expression, "diffused": diffuse(expression, shared.nearest_graph, BASELINE_DIFFUSION)}
    if shared.image is not None:
        arrays["image_pcs"] = shared.image
    records = [record for _, record in runs]
    models = {"models": [record.pop("model") for record in records]} if options.save_model else {}
    parameters = given_values(options, training.network, training)
    del parameters["network"]
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
        "parameters": parameters,
    }


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
    weights_image = shared.image if options.image_fusion in ("late", "weights") else None
    weights = neighbour_weights(shared.positions, shared.pitch, expression, weights_image, options.n_neighbours)
    inputs = unit_scale(shared.augmented(weights, options.augmentation, genes, view.expression_pcs, training.seed))
    targets = unit_scale(diffuse(expression, shared.nearest_graph, view.diffusion, shared.precision))
    if shared.structured is not None:
        inputs = np.hstack([inputs, shared.structured])
        targets = np.hstack([targets, diffuse(shared.structured, shared.nearest_graph, view.diffusion)])
    if options.target == "inputs":
        targets = inputs
    trained = train(inputs, targets, shared.graph, training, device)
    if options.embedding == "latent":
        embedding = trained.latent
    else:
        both = np.hstack([widest_to_one(targets), widest_to_one(trained.decoded)])
        embedding = dense_components(both, options.embedding_dims)
    model = {}
    if options.save_model:
        augmented = log_normalise(augment(shared.counts, weights, options.augmentation))[:, genes]
        n_image = 0 if shared.structured is None else shared.structured.shape[1]
        kept = training_record(training.network, trained.state, augmented, inputs, shared.features, n_image)
        model["model"] = kept | {"seed": training.seed, "gene_indices": genes, "augmentation": options.augmentation}
    return embedding, model | {
        "seed": training.seed,
        "n_genes": len(genes),
        "expression_pcs": expression.shape[1],
        "diffusion": view.diffusion,
        "epochs": len(trained.loss["graph"]),
        "seconds": round(trained.seconds, 3),
        "n_spots_without_neighbours": int((np.diff(weights.indptr) == 0).sum()) if options.n_neighbours else 0,
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
    try:
        with ProcessPoolExecutor(workers, context, _share, (shared, options, device)) as pool:
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
    """Keep in a worker what `_run` is given beside a training; the worker ends with the program that started it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _SHARED["arguments"] = arguments


def _run_in_worker(training: TrainingOptions) -> tuple[np.ndarray, dict]:
    """`_run` with what the worker was started with."""
    return _run(training, *_SHARED["arguments"])
