#!/usr/bin/env python3
"""Step: markers of each domain, spatially variable genes and which domains touch each other."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from efnst.domains.options import DescriptionOptions
from efnst.program.arguments import DomainsFile, Failure, Outdir, Sample
from efnst.program.cli import run

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import scipy.sparse as sp
    from anndata import AnnData

log = logging.getLogger("efnst")
TOP = 10  # genes named per domain, and spatial genes named, in description.json
DOTS = 3  # genes of each domain in the dot plot


def main(
    sample: Sample,
    domains: DomainsFile,
    outdir: Outdir = Path(),
    failure: Failure = None,
    options: DescriptionOptions = DescriptionOptions(),
) -> None:
    """Describe the domains of one section.

    Writes markers.csv (Wilcoxon rank-sum test of each domain against all other spots), spatial_genes.csv (Moran's I of
    every gene over touching spots), <sample>_pseudobulk.csv (counts summed over each domain), umap.csv (the embedding
    in two dimensions) and description.json (the top of these, and which domains touch which).
    """
    import numpy as np
    import scipy.sparse as sp

    from efnst.genes.expression import log_normalise
    from efnst.genes.markers import MIN_SPOTS, rank_markers, untestable_domains
    from efnst.genes.spatial_genes import rank_spatial_genes, touching_spots
    from efnst.inputs.hdf5 import read_own
    from efnst.names import DOMAIN, SECTION, SPATIAL
    from efnst.program.arrays import write_table
    from efnst.records.arrays import MARKERS_CSV, SPATIAL_GENES_CSV, UMAP_CSV
    from efnst.records.base import write_record
    from efnst.records.domains import Description

    data = read_own(domains)
    labels = data.obs[DOMAIN].astype("category").cat.remove_unused_categories().array
    counts = sp.csr_matrix(data.X)
    tested = counts.getnnz(axis=0) >= MIN_SPOTS
    expression = sp.csc_matrix(log_normalise(counts)[:, np.flatnonzero(tested)], dtype=np.float64)
    genes = data.var_names.to_numpy(dtype=str)[tested]
    markers = rank_markers(expression, genes, labels, options.n_markers)
    graph = touching_spots(np.asarray(data.obsm[SPATIAL]), float(data.uns[SECTION]["pitch_px"]))
    spatial_genes = rank_spatial_genes(expression, genes, graph)
    write_table(outdir / "markers.csv", MARKERS_CSV, markers, "%.6g")
    write_table(outdir / "spatial_genes.csv", SPATIAL_GENES_CSV, spatial_genes, "%.6g")
    _pseudobulk_table(counts, data.var_names, labels).to_csv(outdir / f"{sample}_pseudobulk.csv")
    write_table(outdir / "umap.csv", UMAP_CSV, _umap_table(data, options.umap_spots, options.seed), "%.4f")
    record = Description(
        sample=sample,
        n_genes_tested=len(genes),
        top_markers=(top_markers := _top_markers(markers, labels)),
        top_spatial_genes=spatial_genes["gene"].head(TOP).tolist(),
        dot_plot=_dot_plot(expression, genes, labels, top_markers),
        adjacency=_adjacency(graph, labels, options.seed),
        notes=[f"Domain {name} has too few spots to be tested for markers." for name in untestable_domains(labels)],
    )
    write_record(outdir / "description.json", record)
    log.info("%s: %d markers of %d domains, %d genes tested", sample, len(markers), len(labels.categories), len(genes))


def _pseudobulk_table(counts: sp.csr_matrix, genes: pd.Index, labels: pd.Categorical) -> pd.DataFrame:
    """Counts of each gene summed over the spots of each domain, for a spreadsheet."""
    import pandas as pd

    from efnst.genes.markers import pseudobulk
    from efnst.program.spreadsheets import harmless_table

    sums = pd.DataFrame(pseudobulk(counts, labels).T, genes.rename("gene"), labels.categories.astype(str))
    return harmless_table(sums)


def _adjacency(graph: sp.csr_matrix, labels: pd.Categorical, seed: int) -> dict:
    """Which domains touch in the `graph` of touching spots, beside what permutations of the domains give."""
    from efnst.domains.neighbourhoods import adjacency_z, domain_adjacency, permutations_of

    pairs, enrichment = domain_adjacency(graph, labels)
    n_permutations = permutations_of(graph)
    return {
        "domains": labels.categories.astype(str).tolist(),
        "pairs": pairs.tolist(),
        "enrichment": _rounded(enrichment),
        "z_score": _rounded(adjacency_z(graph, labels, seed, n_permutations)),
        "n_permutations": n_permutations,
    }


def _top_markers(markers: pd.DataFrame, labels: pd.Categorical) -> dict[str, list[str]]:
    """The best marker genes of each domain; an empty list where none was found."""
    by_domain = markers.groupby("domain")["gene"].apply(lambda genes: genes.head(TOP).tolist()).to_dict()
    return {str(domain): by_domain.get(str(domain), []) for domain in labels.categories}


def _dot_plot(expression: sp.csc_matrix, genes: np.ndarray, labels: pd.Categorical, top_markers: dict) -> dict:
    """The best markers of all domains in each domain: mean expression, share of the spots in which they are seen."""
    import pandas as pd

    from efnst.genes.markers import domain_profile

    chosen = list(dict.fromkeys(gene for best in top_markers.values() for gene in best[:DOTS]))
    mean, fraction = domain_profile(expression[:, pd.Index(genes).get_indexer(chosen)], labels)
    return {"genes": chosen, "mean": _rounded(mean), "fraction": _rounded(fraction)}


def _umap_table(data: AnnData, n_shown: int, seed: int) -> pd.DataFrame:
    """umap.csv: `barcode`, `umap_1`, `umap_2`; no rows where no layout is wanted or none is possible."""
    import numpy as np
    import pandas as pd

    from efnst.domains.layout import LEAST_SPOTS, sampled, umap_layout
    from efnst.names import EMBEDDING

    shown = sampled(data.n_obs, n_shown, seed)
    if len(shown) < LEAST_SPOTS or EMBEDDING not in data.obsm:
        shown = shown[:0]
    layout = umap_layout(np.asarray(data.obsm[EMBEDDING])[shown], seed) if len(shown) else np.empty((0, 2))
    return pd.DataFrame({"barcode": data.obs_names[shown], "umap_1": layout[:, 0], "umap_2": layout[:, 1]})


def _rounded(table: np.ndarray) -> list[list[float | None]]:
    """A table as JSON, with null for what is not known."""
    return [[None if value != value else round(float(value), 4) for value in row] for row in table]


if __name__ == "__main__":
    run(main)
