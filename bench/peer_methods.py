#!/usr/bin/env python3
"""One peer on one section, with the environment of bench/peers.sh: what bench/peers.py runs and measures.

    python bench/peer_methods.py METHOD section.h5ad --n_domains 7 --seed 0 --labels labels.npy

Every peer gets the counts of section.h5ad and runs with what its authors recommend for Visium, the same on all
sections; none is chosen by labels. Resolutions are searched for `--n_domains`; where a peer misses it, its nearest is
what counts.
"""

import argparse
import os
import random
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")  # some import pyplot

import anndata
import numpy as np
import scanpy as sc

GENES = 3000  # variable genes where a peer's tutorial has no number of its own
TOUCHING = {"hexagonal": 6, "square": 4}  # spots around one


def by_resolution(labels_at: Callable[[float], np.ndarray], n_domains: int, rounds: int = 20) -> np.ndarray:
    """Labels at the resolution, found by bisection, that gives `n_domains` or comes nearest."""
    low, high, nearest = 0.01, 4.0, None
    for _ in range(rounds):
        resolution = (low * high) ** 0.5
        labels = labels_at(resolution)
        found = len(np.unique(labels))
        if nearest is None or abs(found - n_domains) < abs(len(np.unique(nearest)) - n_domains):
            nearest = labels
        if found == n_domains:
            break
        low, high = (resolution, high) if found < n_domains else (low, resolution)
    return nearest


def by_mixture(embedding: np.ndarray, n_domains: int, seed: int) -> np.ndarray:
    """Labels of a Gaussian mixture with one covariance for all components: mclust's EEE, without R."""
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(n_domains, covariance_type="tied", n_init=10, random_state=seed)
    return mixture.fit_predict(np.asarray(embedding, float))


def seed_all(seed: int) -> None:
    """Seed what draws from the global generators."""
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def log_normalised(section: anndata.AnnData, n_genes: int = GENES) -> anndata.AnnData:
    """The `n_genes` most variable genes, log-normalised by all genes."""
    sc.pp.highly_variable_genes(section, n_top_genes=n_genes, flavor="seurat_v3")
    sc.pp.normalize_total(section, target_sum=1e4)
    sc.pp.log1p(section)
    return section[:, section.var.highly_variable].copy()


def banksy(section: anndata.AnnData, n_domains: int, seed: int) -> np.ndarray:
    """BANKSY for domains of Visium: six neighbours, no azimuthal filter, λ 0.2, 20 components, Leiden."""
    from banksy.embed_banksy import generate_banksy_matrix
    from banksy.initialize_banksy import initialize_banksy
    from banksy.main import LeidenPartition
    from banksy_utils.umap_pca import pca_umap

    sc.pp.highly_variable_genes(section, n_top_genes=2000, flavor="seurat_v3")
    sc.pp.normalize_total(section)
    section = section[:, section.var.highly_variable].copy()
    shown = dict.fromkeys(("plt_edge_hist", "plt_nbr_weights", "plt_theta"), False)
    graphs = initialize_banksy(section, ("x", "y", "spatial"), num_neighbours=6, max_m=0, **shown)
    graphs, _ = generate_banksy_matrix(section, graphs, [0.2], max_m=0)
    pca_umap(graphs, pca_dims=[20], plt_remaining_var=False)
    components = graphs["scaled_gaussian"][0.2]["adata"].obsm["reduced_pc_20"]
    leiden = LeidenPartition(components, num_nn=50)

    def labels_at(resolution: float) -> np.ndarray:
        return leiden.partition(resolution, n_iterations=-1, seed=seed)[0].dense

    return by_resolution(labels_at, n_domains)


def spatialleiden(section: anndata.AnnData, n_domains: int, seed: int) -> np.ndarray:
    """SpatialLeiden as its authors ran cortex: 30 components, undirected layers, 0.7 for the spatial one."""
    import squidpy as sq
    from spatialleiden import search_resolution

    spots = log_normalised(section)
    sc.tl.pca(spots, n_comps=30, random_state=seed)
    sc.pp.neighbors(spots, random_state=seed)
    sq.gr.spatial_neighbors(spots, coord_type="grid", n_neighs=TOUCHING[section.uns["section"]["grid"]])
    undirected = {"random_state": seed, "directed": (False, False), "layer_ratio": 0.7}
    search_resolution(spots, n_domains, latent_kwargs={"random_state": seed}, spatial_kwargs=undirected)
    return spots.obs["spatialleiden"].to_numpy().astype(int)


def cellcharter(section: anndata.AnnData, n_domains: int, seed: int) -> np.ndarray:
    """CellCharter on 5 principal components (in place of scVI) and those of four layers of neighbours."""
    import cellcharter as cc
    import squidpy as sq

    spots = log_normalised(section)
    sc.tl.pca(spots, n_comps=5, random_state=seed)
    sq.gr.spatial_neighbors(spots, coord_type="generic", delaunay=True)
    cc.gr.remove_long_links(spots)
    cc.gr.aggregate_neighbors(spots, n_layers=4, use_rep="X_pca")
    mixture = cc.tl.Cluster(n_domains, random_state=seed, trainer_params={"accelerator": "cpu"})
    mixture.fit(spots)
    return np.asarray(mixture.predict(spots)).astype(int)


def spagcn(section: anndata.AnnData, n_domains: int, seed: int) -> np.ndarray:
    """SpaGCN without histology, all else as in its tutorial; it filters and normalises by itself."""
    from SpaGCN import detect_spatial_domains_ez_mode

    x, y = (column.tolist() for column in np.asarray(section.obsm["spatial"], float).T)
    seeds = dict.fromkeys(("r_seed", "t_seed", "n_seed"), seed)
    section.X = section.X.astype(np.float32)
    return np.asarray(
        detect_spatial_domains_ez_mode(section, None, x, y, x, y, n_domains, histology=False, **seeds)
    ).astype(int)


def stagate(section: anndata.AnnData, n_domains: int, seed: int) -> np.ndarray:
    """STAGATE with the six nearest spots, 30 dimensions, and the mixture."""
    from STAGATE_pyG import Cal_Spatial_Net, train_STAGATE

    spots = log_normalised(section)
    Cal_Spatial_Net(spots, k_cutoff=6, model="KNN", verbose=False)
    train_STAGATE(spots, random_seed=seed, verbose=False, device="cpu")
    return by_mixture(spots.obsm["STAGATE"], n_domains, seed)


def graphst(section: anndata.AnnData, n_domains: int, seed: int) -> np.ndarray:
    """GraphST, the mixture on 20 components of its output, and its own refinement by the 50 nearest spots."""
    from GraphST.GraphST import GraphST
    from GraphST.utils import refine_label
    from sklearn.decomposition import PCA

    section.X = section.X.astype(np.float32)
    learned = GraphST(section, random_seed=seed).train()
    components = PCA(20, random_state=seed).fit_transform(learned.obsm["emb"])
    learned.obs["domain"] = by_mixture(components, n_domains, seed)
    return np.array(refine_label(learned, radius=50, key="domain")).astype(int)


METHODS = {method.__name__: method for method in (banksy, spatialleiden, cellcharter, spagcn, stagate, graphst)}


def main() -> None:
    """Write the labels, int [n_spots]."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("section", type=Path)
    parser.add_argument("--n_domains", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--labels", type=Path, required=True)
    options = parser.parse_args()
    section = anndata.read_h5ad(options.section)
    seed_all(options.seed)
    np.save(options.labels, METHODS[options.method](section, options.n_domains, options.seed))


if __name__ == "__main__":
    main()
