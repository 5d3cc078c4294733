"""Counts summed over each domain of each sample, as one table for tests between samples (pydeseq2, DESeq2, edgeR)."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from efnst.program.spreadsheets import read_table
from efnst.statistics.common_genes import common_genes
from efnst.statistics.covariates import with_covariates

MIN_GENES = 50  # that all sections have; with fewer the sections are of different kinds


def read_sums(paths: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """<sample>_pseudobulk.csv by sample: counts [n_genes, n_domains], labelled by (`gene`, `gene_id`) and domain.

    Without identifiers the symbols stand for them.
    """
    return {sample: _sums(path) for sample, path in paths.items()}


def _sums(path: Path) -> pd.DataFrame:
    """The counts of one sample."""
    table = read_table(path, dtype={"gene": str, "gene_id": str})
    if "gene_id" not in table:
        table["gene_id"] = table["gene"]
    return table.set_index(["gene", "gene_id"])


def joined_genes(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """The tables (`read_sums`) beside each other, columns (sample, domain), of the genes that all samples have.

    Genes are the same by identifier first, by symbol second, and labelled as `common_genes` calls them. None where
    these are fewer than `MIN_GENES`.
    """
    if not tables:
        return None
    genes = common_genes(tables)
    named = {sample: table.set_axis(genes[sample]["gene"].to_numpy()) for sample, table in tables.items()}
    joined = pd.concat({name: table[~table.index.duplicated()] for name, table in named.items()}, axis=1, join="inner")
    if len(joined) < MIN_GENES:
        return None
    ids = next(iter(genes.values())).drop_duplicates("gene").set_index("gene")["gene_id"]
    return joined.set_axis(pd.MultiIndex.from_arrays([joined.index, ids[joined.index]], names=["gene", "gene_id"]))


def why_left_out(tables: Mapping[str, pd.DataFrame]) -> str:
    """Why `joined_genes` of these tables is None, in words; empty where it is not."""
    if not tables or joined_genes(tables) is not None:
        return ""
    genes = {sample: set(found["gene"]) for sample, found in common_genes(tables).items()}
    n_common = len(set.intersection(*genes.values()))
    having = Counter(gene for found in genes.values() for gene in found)
    odd = min(genes, key=lambda sample: sum(having[gene] > 1 for gene in genes[sample]))
    return (
        f"pseudobulk.h5ad has no genes, and the report no profiles of the domains: {len(genes)} sections have "
        f"{n_common} genes in common, by identifier or symbol, fewer than {MIN_GENES}. The one that shares the fewest "
        f"genes with any other is {odd}."
    )


def pseudobulk_samples(
    sums: Mapping[str, pd.DataFrame], proportions: pd.DataFrame, covariates: pd.DataFrame
) -> AnnData | None:
    """One observation for each sample and domain with spots: int counts, and in `obs` what is known of it.

    proportions: columns `sample`, `domain`, `n_spots`. Genes are those that all samples have, with `gene_ids` in
    `var`; None where they are few.
    """
    joined = joined_genes(sums)
    return None if joined is None else _samples(joined, sums, proportions, covariates)


def samples_without_genes(
    sums: Mapping[str, pd.DataFrame], proportions: pd.DataFrame, covariates: pd.DataFrame
) -> AnnData:
    """The observations of `pseudobulk_samples` where the genes that all samples have are few: none of them."""
    nothing = {sample: table.iloc[:0] for sample, table in sums.items()}
    return _samples(pd.concat(nothing, axis=1), sums, proportions, covariates)


def _samples(
    joined: pd.DataFrame, sums: Mapping[str, pd.DataFrame], proportions: pd.DataFrame, covariates: pd.DataFrame
) -> AnnData:
    """The observations of `pseudobulk_samples` with the counts of `joined_genes`."""
    samples, domains = (joined.columns.get_level_values(level).astype(str) for level in (0, 1))
    obs = pd.DataFrame({"sample": samples, "domain": domains})
    obs = obs.merge(proportions[["sample", "domain", "n_spots"]], how="left", on=["sample", "domain"])
    counts = np.ascontiguousarray(joined.to_numpy().T)
    obs["total_counts"] = [int(sums[sample][domain].sum()) for sample, domain in joined.columns]
    obs = with_covariates(obs, covariates)
    texts = obs.select_dtypes(exclude="number").columns
    obs = obs.astype(dict.fromkeys(texts, "category")).set_axis(
        [f"{a}.{b}" for a, b in zip(samples, domains, strict=True)]
    )
    symbols, ids = (joined.index.get_level_values(level).astype(str) for level in ("gene", "gene_id"))
    data = AnnData(counts.round().astype(np.int32), obs, pd.DataFrame({"gene_ids": ids.to_numpy()}, symbols))
    data.obs_names_make_unique()
    return data
