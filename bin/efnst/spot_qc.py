"""Quality of spots: what is measured, which spots are left out, and what is reported about it."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix

from efnst.errors import EfnstError

METRICS = ("total_counts", "n_genes_by_counts", "pct_counts_mt")


@dataclass(frozen=True)
class Thresholds:
    """Limits a spot has to keep to; the names are those of the parameters."""

    min_counts_per_spot: int
    min_genes_per_spot: int
    max_pct_mt: float


def spot_metrics(counts: csr_matrix, gene_names: np.ndarray) -> pd.DataFrame:
    """Total counts, genes detected and percentage of mitochondrial counts of each spot.

    `counts`: int32 CSR [n_spots, n_genes] without stored zeros. A spot without counts has 0 %.
    """
    total = np.asarray(counts.sum(axis=1, dtype=np.int64)).ravel()
    is_mt = np.array([str(name).upper().startswith("MT-") for name in gene_names])
    mitochondrial = np.asarray(counts[:, np.flatnonzero(is_mt)].sum(axis=1, dtype=np.int64)).ravel()
    percent = 100 * mitochondrial / np.maximum(total, 1)
    return pd.DataFrame(dict(zip(METRICS, (total, np.diff(counts.indptr).astype(np.int64), percent), strict=True)))


def spots_lost(metrics: pd.DataFrame, thresholds: Thresholds) -> dict[str, np.ndarray]:
    """For each threshold the spots it takes, bool [n_spots]; a spot counts for the first threshold that takes it."""
    takes = {
        "min_counts_per_spot": metrics["total_counts"] < thresholds.min_counts_per_spot,
        "min_genes_per_spot": metrics["n_genes_by_counts"] < thresholds.min_genes_per_spot,
        "max_pct_mt": metrics["pct_counts_mt"] > thresholds.max_pct_mt,
    }
    lost, gone = {}, np.zeros(len(metrics), bool)
    for name, taken in takes.items():
        lost[name] = taken.to_numpy() & ~gone
        gone |= lost[name]
    return lost


def keep_good_spots(section: AnnData, thresholds: Thresholds) -> tuple[AnnData, dict[str, int]]:
    """The spots of `section` (raw counts) that keep to the thresholds, with their metrics in `obs`, and the spots lost.

    Raises EfnstError, with what each threshold took, when no spot is left.
    """
    metrics = spot_metrics(section.X, section.var_names.to_numpy())
    metrics.index = section.obs_names
    lost = spots_lost(metrics, thresholds)
    keep = ~np.any(list(lost.values()), axis=0)
    counts = {name: int(taken.sum()) for name, taken in lost.items()}
    if not keep.any():
        limits = asdict(thresholds)
        took = ", ".join(f"{name} {limits[name]:g} took {count}" for name, count in counts.items())
        middle = ", ".join(f"{name} {metrics[name].median():g}" for name in METRICS)
        raise EfnstError(
            f"Expected spots to be left after quality control, found none of {section.n_obs} ({took}; medians before: "
            f"{middle}): loosen these parameters or leave the section out."
        )
    section.obs[list(METRICS)] = metrics
    return section[keep].copy(), counts


def qc_record(section: AnnData, sample: str, n_in_matrix: int, lost: dict[str, int], warnings: list[str]) -> dict:
    """What section_qc.json holds about the spots kept in `section`, which `keep_good_spots` returned."""
    obs = section.obs
    return {
        "sample": sample,
        "n_spots_in_matrix": n_in_matrix,
        "n_spots_in_tissue": section.n_obs + sum(lost.values()),
        "n_spots_kept": section.n_obs,
        "lost": lost,
        "median_counts": float(obs["total_counts"].median()),
        "median_genes": float(obs["n_genes_by_counts"].median()),
        "median_pct_mt": float(obs["pct_counts_mt"].median()),
        "quantiles": {
            name: [float(value) for value in np.quantile(obs[name], [0, 0.25, 0.5, 0.75, 1])]
            for name in ("total_counts", "n_genes_by_counts")
        },
        "warnings": warnings,
    }
