"""Counts summed over each domain of each sample, as one table for tests between samples (pydeseq2, DESeq2, edgeR)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from efnst.program.spreadsheets import read_table
from efnst.statistics.covariates import with_covariates

MIN_GENES = 50  # that all sections have; with fewer the sections are of different kinds


def read_sums(paths: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """<sample>_pseudobulk.csv by sample: counts [n_genes, n_domains] with genes and domains as labels."""
    return {sample: read_table(path, index_col="gene", dtype={"gene": str}) for sample, path in paths.items()}


def joined_genes(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """The tables beside each other, columns (sample, domain), of the genes that all samples have.

    None where these are fewer than `MIN_GENES`.
    """
    if not tables:
        return None
    joined = pd.concat(tables, axis=1, join="inner")
    return joined if len(joined) >= MIN_GENES else None


def pseudobulk_samples(
    sums: Mapping[str, pd.DataFrame], proportions: pd.DataFrame, covariates: pd.DataFrame
) -> AnnData | None:
    """One observation for each sample and domain with spots: int counts, and in `obs` what is known of it.

    proportions: columns `sample`, `domain`, `n_spots`. Genes are those that all samples have; None where they are few.
    """
    joined = joined_genes(sums)
    if joined is None:
        return None
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
    data = AnnData(counts.round().astype(np.int32), obs, pd.DataFrame(index=joined.index.astype(str)))
    data.obs_names_make_unique()
    return data
