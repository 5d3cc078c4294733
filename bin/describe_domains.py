#!/usr/bin/env python3
"""Step: markers of each domain, spatially variable genes, gene sets and how the domains lie to each other."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from efnst.domains.options import DescriptionOptions
from efnst.program.arguments import DomainsFile, Failure, GeneSets, Outdir, Sample
from efnst.program.cli import run

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import scipy.sparse as sp
    from anndata import AnnData

    from efnst.records.domains import Adjacency

log = logging.getLogger("efnst")
TOP = 10  # genes named per domain, and spatial genes named, in description.json
DOTS = 3  # genes of each domain in the dot plot
SETS = 5  # gene sets of each domain in description.json
SAMPLED = 500  # spots whose embedding the cohort's report gets
NEIGHBOURED = 20_000  # spots between which neighbours in the embedding are looked for


def main(
    sample: Sample,
    domains: DomainsFile,
    gene_sets: GeneSets = None,
    outdir: Outdir = Path(),
    failure: Failure = None,
    options: DescriptionOptions = DescriptionOptions(),
) -> None:
    """Describe the domains of one section.

    Writes markers.csv (Wilcoxon rank-sum test of each domain against all other spots), spatial_genes.csv (Moran's I of
    every gene over touching spots), <sample>_pseudobulk.csv (counts summed over each domain), umap.csv (the embedding
    in two dimensions), domain_graph.csv (which domains touch, or go over into each other), gene_sets.csv (where there
    are any), embedding_sample.npz (a few spots, for the cohort's report) and description.json (the top of these).
    """
    from efnst.genes.markers import untestable_domains
    from efnst.inputs.hdf5 import read_own
    from efnst.names import DOMAIN
    from efnst.program.any_cpu import compile_for_any_cpu
    from efnst.records.base import write_record
    from efnst.records.domains import Description

    compile_for_any_cpu()
    data = read_own(domains)
    labels = data.obs[DOMAIN].astype("category").cat.remove_unused_categories().array
    graph = _touching(data)
    of_genes, notes = _describe_genes(data, graph, labels, gene_sets, outdir, options.n_markers)
    _write_pseudobulk(data, labels, outdir / f"{sample}_pseudobulk.csv")
    _write_embedding(data, labels, outdir, options)
    adjacency = _write_adjacency(data, graph, labels, outdir, options.seed)
    untested = untestable_domains(labels)
    notes += [f"Domain {name} has {reason} to be tested for markers." for name, reason in untested.items()]
    record = Description(sample=sample, **of_genes, adjacency=adjacency, notes=notes)
    write_record(outdir / "description.json", record)
    log.info("%s: %d domains, %d genes tested", sample, len(labels.categories), record.n_genes_tested)


def _describe_genes(
    data: AnnData, graph: sp.csr_matrix, labels: pd.Categorical, gene_sets: Path | None, outdir: Path, n_markers: int
) -> tuple[dict, list[str]]:
    """Write the tables of genes and gene sets; their fields of description.json, and notes."""
    import numpy as np
    import scipy.sparse as sp

    from efnst.genes.expression import log_normalise
    from efnst.genes.markers import MIN_SPOTS, rank_markers
    from efnst.genes.spatial_genes import rank_spatial_genes
    from efnst.program.arrays import write_table
    from efnst.records.arrays import MARKERS_CSV, SPATIAL_GENES_CSV

    counts = sp.csr_matrix(data.X)
    tested = counts.getnnz(axis=0) >= MIN_SPOTS
    expression = sp.csc_matrix(log_normalise(counts)[:, np.flatnonzero(tested)], dtype=np.float64)
    genes = data.var_names.to_numpy(dtype=str)[tested]
    markers = rank_markers(expression, genes, labels, n_markers)
    spatial_genes = rank_spatial_genes(expression, genes, graph)
    write_table(outdir / "markers.csv", MARKERS_CSV, markers, "%.6g")
    write_table(outdir / "spatial_genes.csv", SPATIAL_GENES_CSV, spatial_genes, "%.6g")
    fields = {
        "n_genes_tested": len(genes),
        "top_markers": (top_markers := _top_markers(markers, labels)),
        "top_spatial_genes": spatial_genes["gene"].head(TOP).tolist(),
        "dot_plot": _dot_plot(expression, genes, labels, top_markers),
    }
    sets, notes = _gene_sets(expression, genes, labels, gene_sets, outdir)
    return fields | sets, notes


def _touching(data: AnnData) -> sp.csr_matrix:
    """The graph of touching spots."""
    import numpy as np

    from efnst.genes.spatial_genes import touching_spots
    from efnst.names import SECTION, SPATIAL

    return touching_spots(np.asarray(data.obsm[SPATIAL]), float(data.uns[SECTION]["pitch_px"]))


def _write_pseudobulk(data: AnnData, labels: pd.Categorical, path: Path) -> None:
    """Counts of each gene summed over the spots of each domain, for a spreadsheet."""
    import pandas as pd
    import scipy.sparse as sp

    from efnst.genes.markers import pseudobulk
    from efnst.program.spreadsheets import harmless_table

    sums = pseudobulk(sp.csr_matrix(data.X), labels).T
    table = pd.DataFrame(sums, data.var_names.rename("gene"), labels.categories.astype(str))
    if "gene_ids" in data.var:
        table.insert(0, "gene_id", data.var["gene_ids"].astype(str))
    harmless_table(table).to_csv(path)


def _write_adjacency(data: AnnData, graph: sp.csr_matrix, labels: pd.Categorical, outdir: Path, seed: int) -> Adjacency:
    """Write domain_graph.csv; its content as a field of description.json."""
    from efnst.program.arrays import write_table
    from efnst.records.arrays import DOMAIN_GRAPH_CSV

    adjacency = _adjacency(data, graph, labels, seed)
    write_table(outdir / "domain_graph.csv", DOMAIN_GRAPH_CSV, _domain_graph(adjacency), "%.6g")
    return adjacency


def _adjacency(data: AnnData, graph: sp.csr_matrix, labels: pd.Categorical, seed: int) -> Adjacency:
    """Which domains touch, beside what permutations of the domains give, and which go over into each other."""
    from efnst.domains.neighbourhoods import adjacency_z, domain_adjacency, permutations_of
    from efnst.records.domains import Adjacency

    pairs, enrichment = domain_adjacency(graph, labels)
    n_permutations = permutations_of(graph)
    return Adjacency(
        domains=labels.categories.astype(str).tolist(),
        pairs=pairs.tolist(),
        enrichment=_rounded(enrichment),
        z_score=_rounded(adjacency_z(graph, labels, seed, n_permutations)),
        n_permutations=n_permutations,
        **_connectivity(data, labels, seed),
    )


def _connectivity(data: AnnData, labels: pd.Categorical, seed: int) -> dict:
    """The field `connectivity` of the adjacency, where it can be worked out."""
    import numpy as np

    from efnst.domains.connectivity import paga_connectivity
    from efnst.domains.layout import sampled
    from efnst.names import EMBEDDING

    if EMBEDDING not in data.obsm:
        return {}
    used = sampled(data.n_obs, NEIGHBOURED, seed)
    found = paga_connectivity(np.asarray(data.obsm[EMBEDDING])[used], labels[used])
    return {} if found is None else {"connectivity": _rounded(found)}


def _domain_graph(adjacency: Adjacency) -> pd.DataFrame:
    """domain_graph.csv: one row for each two domains."""
    import numpy as np
    import pandas as pd

    first, second = np.triu_indices(len(adjacency.domains), 1)
    unknown = np.full((len(adjacency.domains),) * 2, np.nan)
    tables = (adjacency.pairs, adjacency.enrichment, adjacency.z_score, adjacency.connectivity or unknown)
    names = ("touching_pairs", "enrichment", "z_score", "connectivity")
    kinds = (int, float, float, float)
    columns = {
        name: np.array(table, dtype=kind)[first, second] for name, table, kind in zip(names, tables, kinds, strict=True)
    }
    domains = np.array(adjacency.domains, dtype=object)
    return pd.DataFrame({"domain_1": domains[first], "domain_2": domains[second]} | columns)


def _write_embedding(data: AnnData, labels: pd.Categorical, outdir: Path, options: DescriptionOptions) -> None:
    """Write umap.csv and, of a section with an embedding, embedding_sample.npz."""
    import numpy as np

    from efnst.domains.layout import sampled
    from efnst.names import EMBEDDING
    from efnst.program.arrays import write_arrays, write_table
    from efnst.records.arrays import EMBEDDING_SAMPLE_NPZ, UMAP_CSV

    write_table(outdir / "umap.csv", UMAP_CSV, _umap_table(data, options.umap_spots, options.seed), "%.4f")
    if EMBEDDING not in data.obsm:
        return
    drawn = sampled(data.n_obs, SAMPLED, options.seed)
    arrays = {"domain": np.asarray(labels[drawn], dtype=np.str_), "embedding": np.asarray(data.obsm[EMBEDDING])[drawn]}
    write_arrays(outdir / "embedding_sample.npz", EMBEDDING_SAMPLE_NPZ, data.obs_names[drawn], **arrays)


def _gene_sets(
    expression: sp.csc_matrix, genes: np.ndarray, labels: pd.Categorical, path: Path | None, outdir: Path
) -> tuple[dict, list[str]]:
    """The field `gene_sets` of description.json, and notes; writes gene_sets.csv. Nothing of it without a file."""
    from efnst.genes.gene_set_activity import gene_set_table
    from efnst.inputs.gene_sets import read_gene_sets
    from efnst.program.arrays import write_table
    from efnst.records.arrays import GENE_SETS_CSV
    from efnst.records.domains import GeneSets

    if path is None:
        return {}, []
    table, notes = gene_set_table(expression, genes, labels, read_gene_sets(path))
    write_table(outdir / "gene_sets.csv", GENE_SETS_CSV, table, "%.6g")
    wide = table.pivot(index="domain", columns="gene_set", values="activity").reindex(table["domain"].unique())
    best = dict.fromkeys(table.groupby("domain", sort=False).head(SETS)["gene_set"])
    record = GeneSets(names=list(best), domains=list(wide.index), activity=_rounded(wide[list(best)].to_numpy()))
    return ({"gene_sets": record} if best else {}), notes


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
