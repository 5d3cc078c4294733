#!/usr/bin/env python3
"""Step: markers of each domain, spatially variable genes and which domains touch each other."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from efnst.program import run, write_json

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

log = logging.getLogger("efnst")
TOP = 10  # genes named per domain, and spatial genes named, in description.json


def main(
    sample: Annotated[str, typer.Option("--sample", help="Name of the sample, as in the samplesheet.")],
    domains: Annotated[
        Path, typer.Option("--domains", help="The sample's .h5ad with its domains, from assign_domains.")
    ],
    outdir: Annotated[
        Path, typer.Option("--outdir", help="Folder for markers.csv, spatial_genes.csv, description.json.")
    ] = Path(),
    n_markers: Annotated[int, typer.Option("--n_markers", min=1, help="Marker genes kept per domain.")] = 50,
    failure: Annotated[
        Path | None, typer.Option("--failure", help="Write a failure of this section here and exit with 0.")
    ] = None,
) -> None:
    """Describe the domains of one section.

    Writes markers.csv (Wilcoxon rank-sum test of each domain against all other spots), spatial_genes.csv (Moran's I of
    every gene over touching spots) and description.json (the top of both, and which domains touch which).
    """
    import anndata
    import numpy as np
    import scipy.sparse as sp

    from efnst.constants import DOMAIN, SECTION, SPATIAL
    from efnst.markers import MIN_SPOTS, log_normalised, rank_markers, untestable_domains
    from efnst.spatial_genes import domain_adjacency, rank_spatial_genes, touching_spots

    data = anndata.read_h5ad(domains)
    labels = data.obs[DOMAIN].astype("category").cat.remove_unused_categories().array
    counts = sp.csr_matrix(data.X)
    tested = counts.getnnz(axis=0) >= MIN_SPOTS
    expression = log_normalised(counts)[:, np.flatnonzero(tested)]
    genes = data.var_names.to_numpy(dtype=str)[tested]

    markers = rank_markers(expression, genes, labels, n_markers)
    graph = touching_spots(np.asarray(data.obsm[SPATIAL]), float(data.uns[SECTION]["pitch_px"]))
    spatial_genes = rank_spatial_genes(expression, genes, graph)
    pairs, enrichment = domain_adjacency(graph, labels)

    outdir.mkdir(parents=True, exist_ok=True)
    markers.to_csv(outdir / "markers.csv", index=False, float_format="%.6g")
    spatial_genes.to_csv(outdir / "spatial_genes.csv", index=False, float_format="%.6g")
    content = {
        "sample": sample,
        "n_genes_tested": len(genes),
        "top_markers": _top_markers(markers, labels),
        "top_spatial_genes": spatial_genes["gene"].head(TOP).tolist(),
        "adjacency": _adjacency(labels.categories.astype(str).tolist(), pairs, enrichment),
        "notes": [f"Domain {name} has too few spots to be tested for markers." for name in untestable_domains(labels)],
    }
    write_json(outdir / "description.json", content)
    log.info("%s: %d markers of %d domains, %d genes tested", sample, len(markers), len(labels.categories), len(genes))


def _top_markers(markers: pd.DataFrame, labels: pd.Categorical) -> dict[str, list[str]]:
    """The best marker genes of each domain; an empty list where none was found."""
    by_domain = markers.groupby("domain")["gene"].apply(lambda genes: genes.head(TOP).tolist()).to_dict()
    return {str(domain): by_domain.get(str(domain), []) for domain in labels.categories}


def _adjacency(domains: list[str], pairs: np.ndarray, enrichment: np.ndarray) -> dict[str, list]:
    """Adjacency as JSON, with null where no pair is expected."""
    rounded = [[None if value != value else round(float(value), 4) for value in row] for row in enrichment]
    return {"domains": domains, "pairs": pairs.tolist(), "enrichment": rounded}


if __name__ == "__main__":
    run(main)
