#!/usr/bin/env python3
"""Learn an embedding of the spots from expression, image features and positions with the EfNST network."""

import os
import warnings
from pathlib import Path
from typing import Annotated

import typer

from efnst.program import run


def main(
    sample: Annotated[str, typer.Option(help="Name of the sample.")],
    section: Annotated[Path, typer.Option(help="section.h5ad of read_section.py.")],
    features: Annotated[Path | None, typer.Option(help="features.npz of embed_patches.py; without: no image.")] = None,
    min_spots_per_gene: Annotated[
        int, typer.Option("--min_spots_per_gene", help="Leave out genes seen in fewer spots.", min=1)
    ] = 3,
    n_genes: Annotated[int, typer.Option("--n_genes", help="Number of spatially variable genes used.", min=2)] = 3000,
    expression_pcs: Annotated[
        int, typer.Option("--expression_pcs", help="Principal components of expression.", min=1)
    ] = 30,
    image_pcs: Annotated[
        int, typer.Option("--image_pcs", help="Principal components of the image features.", min=1)
    ] = 50,
    n_neighbours: Annotated[
        int, typer.Option("--n_neighbours", help="Neighbours that augment a spot's expression.", min=0)
    ] = 4,
    augmentation: Annotated[
        float, typer.Option(help="Weight of the neighbours' expression beside the spot's own.", min=0)
    ] = 0.2,
    graph_neighbours: Annotated[
        int, typer.Option("--graph_neighbours", help="Nearest spots that the graph joins a spot to.", min=1)
    ] = 6,
    epochs: Annotated[int, typer.Option(help="Training epochs.", min=1)] = 200,
    learning_rate: Annotated[float, typer.Option("--learning_rate", help="Step size of Adam.")] = 0.002,
    graph_loss: Annotated[
        str, typer.Option("--graph_loss", help="repaired (with negative pairs) or published.")
    ] = "repaired",
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0)] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1)] = 1,
    outdir: Annotated[Path, typer.Option(help="Folder for embedding.npz and training.json.")] = Path("."),
    failure: Annotated[
        Path | None, typer.Option(help="Write an input error to this file and end with status 0.")
    ] = None,
) -> None:
    """Learn an embedding of the spots from expression, image features and positions with the EfNST network."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products on CUDA
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.jit")  # PyG still scripts its operators
    import anndata
    from threadpoolctl import threadpool_limits

    from efnst.embedding import EmbeddingOptions, learn_embedding
    from efnst.program import log, versions, write_json
    from efnst.reproducible import reproducible_torch
    from efnst.section_file import read_arrays, write_arrays
    from efnst.training import TrainingOptions, choose_device

    chosen = choose_device(device)
    spots = anndata.read_h5ad(section)
    image = read_arrays(features, spots.obs_names.to_numpy())["features"] if features else None
    options = EmbeddingOptions(
        min_spots_per_gene, n_genes, expression_pcs, image_pcs, n_neighbours, augmentation, graph_neighbours
    )
    training = TrainingOptions(epochs=epochs, learning_rate=learning_rate, graph_loss=graph_loss, seed=seed)
    with threadpool_limits(threads), reproducible_torch(threads, seed):
        arrays, record = learn_embedding(spots, image, options, training, chosen)
    outdir.mkdir(parents=True, exist_ok=True)
    write_arrays(outdir / "embedding.npz", spots.obs_names.to_numpy(), **arrays)
    record = {"sample": sample, "device": str(chosen)} | record
    write_json(outdir / "training.json", record | {"versions": versions("torch", "torch-geometric", "scipy")})
    log.info("%s: %d spots, %d epochs in %.1f s on %s", sample, spots.n_obs, epochs, record["seconds"], chosen)


if __name__ == "__main__":
    run(main, uses_torch=True)
