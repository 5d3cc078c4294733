#!/usr/bin/env python3
"""Learn an embedding of the spots from expression, image features and positions with the EfNST network."""

import os
import warnings
from pathlib import Path
from typing import Annotated

import typer

from efnst.program.cli import run


def main(
    sample: Annotated[str, typer.Option(help="Name of the sample.")],
    section: Annotated[Path, typer.Option(help="section.h5ad of read_section.py.")],
    features: Annotated[Path | None, typer.Option(help="features.npz of embed_patches.py; without: no image.")] = None,
    min_spots_per_gene: Annotated[
        int, typer.Option("--min_spots_per_gene", help="Leave out genes seen in fewer spots.", min=1)
    ] = 3,
    n_genes: Annotated[int, typer.Option("--n_genes", help="Number of spatially variable genes used.", min=2)] = 3000,
    expression_rep: Annotated[
        str,
        typer.Option("--expression_rep", help="Features in obsm to learn from instead of the expression's components."),
    ] = "",
    expression_pcs: Annotated[
        int, typer.Option("--expression_pcs", help="Principal components of expression.", min=1)
    ] = 30,
    image_pcs: Annotated[
        int, typer.Option("--image_pcs", help="Principal components of the image features.", min=1)
    ] = 50,
    image_fusion: Annotated[
        str, typer.Option("--image_fusion", help="late, weights, concatenate or none: where the image comes in.")
    ] = "late",
    image_weight: Annotated[
        float, typer.Option("--image_weight", help="Scale of the image components beside those of expression.", min=0)
    ] = 1.0,
    n_neighbours: Annotated[
        int, typer.Option("--n_neighbours", help="Neighbours that augment a spot's expression.", min=0)
    ] = 4,
    augmentation: Annotated[
        float, typer.Option("--augmentation", help="Weight of the neighbours' expression beside the spot's own.", min=0)
    ] = 0.2,
    graph: Annotated[
        str,
        typer.Option(
            "--graph", help="nearest (graph_neighbours) or radius (graph_radius): which spots the graph joins."
        ),
    ] = "nearest",
    graph_neighbours: Annotated[
        int, typer.Option("--graph_neighbours", help="Nearest spots that the graph joins a spot to.", min=1)
    ] = 6,
    graph_radius: Annotated[
        float,
        typer.Option("--graph_radius", help="Reach of the graph in pitches; 1.5 joins the spots that touch.", min=0.1),
    ] = 1.5,
    diffusion: Annotated[
        float, typer.Option("--diffusion", help="Strength of the diffusion of what the network decodes.", min=0)
    ] = 0.5,
    weigh_by_counts: Annotated[
        bool,
        typer.Option(
            "--weigh_by_counts/--no_weigh_by_counts", help="In the diffusion, spots with few counts follow the others."
        ),
    ] = True,
    target: Annotated[str, typer.Option("--target", help="diffused or inputs: what the network decodes.")] = "diffused",
    embedding: Annotated[
        str, typer.Option("--embedding", help="decoded, latent_skip or latent: what is clustered.")
    ] = "decoded",
    embedding_dims: Annotated[
        int, typer.Option("--embedding_dims", help="Columns of the embedding `decoded`.", min=1)
    ] = 25,
    n_seeds: Annotated[int, typer.Option("--n_seeds", help="Trainings, each with its own seed.", min=1)] = 8,
    vary_views: Annotated[
        bool,
        typer.Option(
            "--vary_views/--no_vary_views",
            help="Each training draws its numbers of genes and components and its diffusion.",
        ),
    ] = True,
    epochs: Annotated[int, typer.Option("--epochs", help="Training epochs at most.", min=1)] = 400,
    tolerance: Annotated[
        float,
        typer.Option("--tolerance", help="Stop when the loss falls by a smaller part in 20 epochs; 0: never.", min=0),
    ] = 0.02,
    learning_rate: Annotated[float, typer.Option("--learning_rate", help="Step size of Adam.")] = 0.002,
    input_noise: Annotated[
        float, typer.Option("--input_noise", help="Part of the inputs set to zero in each epoch.", min=0, max=1)
    ] = 0.1,
    graph_loss: Annotated[
        str, typer.Option("--graph_loss", help="repaired (with negative pairs) or published.")
    ] = "repaired",
    graph_weight: Annotated[float, typer.Option("--graph_weight", help="Weight of the graph loss.", min=0)] = 0.1,
    kl_weight: Annotated[
        float, typer.Option("--kl_weight", help="Weight of the KL divergence per spot.", min=0)
    ] = 0.01,
    convolution: Annotated[
        str, typer.Option("--convolution", help="gated, gcn, gat or sage: kind of graph convolution.")
    ] = "gated",
    decoder: Annotated[str, typer.Option("--decoder", help="linear or sigmoid (as published).")] = "linear",
    graph_dims: Annotated[
        int, typer.Option("--graph_dims", help="Latent dimensions that come from the graph.", min=1)
    ] = 8,
    encoded_dims: Annotated[
        int, typer.Option("--encoded_dims", help="Latent dimensions that come from the spot alone.", min=1)
    ] = 20,
    batch_norm_momentum: Annotated[
        float,
        typer.Option("--batch_norm_momentum", help="Momentum of batch normalisation; 0.01 as published.", min=0, max=1),
    ] = 0.1,
    dec_epochs: Annotated[
        int, typer.Option("--dec_epochs", help="Epochs of deep embedded clustering after the training.", min=0)
    ] = 0,
    n_domains: Annotated[
        int, typer.Option("--n_domains", help="Number of domains; only deep embedded clustering needs it.", min=0)
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of everything random.", min=0)] = 0,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option("--threads", help="CPU threads: trainings at once.", min=1)] = 1,
    save_model: Annotated[
        bool, typer.Option("--save_model/--no_save_model", help="Write the fitted networks to SAMPLE/model.pt.")
    ] = False,
    outdir: Annotated[Path, typer.Option(help="Folder for embedding.npz and training.json.")] = Path("."),
    failure: Annotated[
        Path | None, typer.Option(help="Write an input error to this file and end with status 0.")
    ] = None,
) -> None:
    """Learn embeddings of the spots from expression, image features and positions with the EfNST network."""
    given = dict(locals())
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products on CUDA
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.jit")  # PyG still scripts its operators
    import anndata
    from threadpoolctl import threadpool_limits

    from efnst.embedding.learn import learn_embeddings
    from efnst.embedding.network import NetworkOptions
    from efnst.embedding.options import EmbeddingOptions
    from efnst.embedding.saved_model import save_models
    from efnst.embedding.training import TrainingOptions, choose_device
    from efnst.program.arrays import read_arrays, write_arrays
    from efnst.program.cli import log, options_from, versions
    from efnst.records.arrays import EMBEDDING_NPZ, FEATURES_NPZ
    from efnst.records.base import write_record
    from efnst.records.domains import TrainingRecord

    chosen = choose_device(device)
    spots = anndata.read_h5ad(section)
    read = read_arrays(features, FEATURES_NPZ, spots.obs_names.to_numpy()) if features else {}
    network = options_from(NetworkOptions, given)
    with threadpool_limits({"blas": 1, "openmp": threads}):  # sums of matrix products round by the number of threads
        arrays, record = learn_embeddings(
            spots,
            read.get("features"),
            options_from(EmbeddingOptions, given),
            options_from(TrainingOptions, given | {"network": network, "n_clusters": n_domains}),
            chosen,
            n_seeds,
            threads,
            patch_um=read.get("patch_um", ()),
        )
    outdir.mkdir(parents=True, exist_ok=True)
    write_arrays(outdir / "embedding.npz", EMBEDDING_NPZ, spots.obs_names.to_numpy(), **arrays)
    record = {"sample": sample, "device": str(chosen)} | record
    for training in record.get("models", []):
        training["genes"] = spots.var_names[training.pop("gene_indices")].tolist()
    if save_model:
        about = {"sample": sample, "parameters": record["parameters"], "versions": versions("torch", "torch-geometric")}
        save_models(outdir / sample / "model.pt", record.pop("models"), about)
    libraries = versions("torch", "torch-geometric", "scipy")
    write_record(outdir / "training.json", TrainingRecord(**record, versions=libraries))
    log.info("%s: %d spots, %d trainings in %.1f s on %s", sample, spots.n_obs, n_seeds, record["seconds"], chosen)


if __name__ == "__main__":
    run(main, uses_torch=True)
