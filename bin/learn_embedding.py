#!/usr/bin/env python3
"""Learn an embedding of the spots from expression, image features and positions with the EfNST network."""

import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from efnst.embedding.options import DeviceOptions, EmbeddingOptions, NetworkOptions, TrainingOptions
from efnst.program.cli import run


def main(
    sample: Annotated[str, typer.Option(help="Name of the sample.")],
    section: Annotated[Path, typer.Option(help="section.h5ad of read_section.py.")],
    features: Annotated[Path | None, typer.Option(help="features.npz of embed_patches.py; without: no image.")] = None,
    threads: Annotated[int, typer.Option("--threads", help="CPU threads: trainings at once.", min=1)] = 1,
    outdir: Annotated[Path, typer.Option(help="Folder for embedding.npz and training.json.")] = Path("."),
    failure: Annotated[
        Path | None, typer.Option(help="Write an input error to this file and end with status 0.")
    ] = None,
    options: EmbeddingOptions = EmbeddingOptions(),
    training: TrainingOptions = TrainingOptions(),
    network: NetworkOptions = NetworkOptions(),
    where: DeviceOptions = DeviceOptions(),
) -> None:
    """Learn embeddings of the spots from expression, image features and positions with the EfNST network."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products on CUDA
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.jit")  # PyG still scripts its operators
    import anndata
    from threadpoolctl import threadpool_limits

    from efnst.embedding.learn import learn_embeddings
    from efnst.embedding.saved_model import save_models
    from efnst.embedding.training import choose_device
    from efnst.program.arrays import read_arrays, write_arrays
    from efnst.program.cli import log, versions
    from efnst.records.arrays import EMBEDDING_NPZ, FEATURES_NPZ
    from efnst.records.base import write_record
    from efnst.records.domains import TrainingRecord

    chosen = choose_device(where.device)
    spots = anndata.read_h5ad(section)
    read = read_arrays(features, FEATURES_NPZ, spots.obs_names.to_numpy()) if features else {}
    with threadpool_limits({"blas": 1, "openmp": threads}):  # sums of matrix products round by the number of threads
        arrays, record = learn_embeddings(
            spots,
            read.get("features"),
            options,
            replace(training, network=network),
            chosen,
            threads,
            patch_um=read.get("patch_um", ()),
        )
    write_arrays(outdir / "embedding.npz", EMBEDDING_NPZ, spots.obs_names.to_numpy(), **arrays)
    record = {"sample": sample, "device": str(chosen)} | record
    for model in record.get("models", []):
        model["genes"] = spots.var_names[model.pop("gene_indices")].tolist()
    if options.save_model:
        about = {"sample": sample, "parameters": record["parameters"], "versions": versions("torch", "torch-geometric")}
        save_models(outdir / sample / "model.pt", record.pop("models"), about)
    libraries = versions("torch", "torch-geometric", "scipy")
    write_record(outdir / "training.json", TrainingRecord(**record, versions=libraries))
    n_seeds, seconds = training.n_seeds, record["seconds"]
    log.info("%s: %d spots, %d trainings in %.1f s on %s", sample, spots.n_obs, n_seeds, seconds, chosen)


if __name__ == "__main__":
    run(main, uses_torch=True)
