#!/usr/bin/env python3
"""Learn an embedding of the spots from expression, image features and positions with the EfNST network."""

import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from efnst.embedding.options import DeviceOptions, EmbeddingOptions, NetworkOptions, TrainingOptions
from efnst.program.arguments import Failure, Outdir, Sample, SectionFile, Threads
from efnst.program.cli import run

if TYPE_CHECKING:
    import pandas as pd


def main(
    sample: Sample,
    section: SectionFile,
    features: Annotated[Path | None, typer.Option(help="features.npz of embed_patches.py; without: no image.")] = None,
    threads: Threads = 1,
    outdir: Outdir = Path(),
    failure: Failure = None,
    options: EmbeddingOptions = EmbeddingOptions(),
    training: TrainingOptions = TrainingOptions(),
    network: NetworkOptions = NetworkOptions(),
    where: DeviceOptions = DeviceOptions(),
) -> None:
    """Learn embeddings of the spots from expression, image features and positions with the EfNST network."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products on CUDA
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.jit")  # PyG still scripts its operators
    from threadpoolctl import threadpool_limits

    from efnst.embedding.image_features import image_features
    from efnst.embedding.learn import learn_embeddings
    from efnst.embedding.training import choose_device
    from efnst.inputs.hdf5 import read_own
    from efnst.program.arrays import read_arrays, write_arrays
    from efnst.program.cli import log, versions
    from efnst.records.arrays import EMBEDDING_NPZ, FEATURES_NPZ
    from efnst.records.base import write_record
    from efnst.records.domains import TrainingRecord

    chosen = choose_device(where.device)
    spots = read_own(section)
    read = read_arrays(features, FEATURES_NPZ, spots.obs_names.to_numpy()) if features else {}
    with threadpool_limits({"blas": 1, "openmp": threads}):  # sums of matrix products round by the number of threads
        arrays, record = learn_embeddings(
            spots,
            image_features(read, spots.n_obs),
            options,
            replace(training, network=network),
            chosen,
            threads,
        )
    write_arrays(outdir / "embedding.npz", EMBEDDING_NPZ, spots.obs_names.to_numpy(), **arrays)
    record = {"sample": sample, "device": str(chosen)} | record
    if options.save_model:
        _save(outdir / sample / "model.pt", record.pop("models"), record, spots.var_names)
    libraries = versions("torch", "torch-geometric", "scipy")
    write_record(outdir / "training.json", TrainingRecord(**record, versions=libraries))
    n_seeds, seconds = training.n_seeds, record["seconds"]
    log.info("%s: %d spots, %d trainings in %.1f s on %s", sample, spots.n_obs, n_seeds, seconds, chosen)


def _save(path: Path, models: list[dict], record: dict, genes: "pd.Index") -> None:
    """Write the fitted networks, each with the names of its genes."""
    from efnst.embedding.saved_model import save_models
    from efnst.program.cli import versions

    for model in models:
        model["genes"] = genes[model.pop("gene_indices")].tolist()
    about = {"sample": record["sample"], "parameters": record["parameters"]}
    save_models(path, models, about | {"versions": versions("torch", "torch-geometric")})


if __name__ == "__main__":
    run(main)
