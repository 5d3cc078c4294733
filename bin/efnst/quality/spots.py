"""Quality of spots: what is measured, which spots are left out, and what is reported about it."""

from dataclasses import asdict, dataclass, fields, replace

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix

from efnst.errors import EfnstError
from efnst.geometry.grid import n_isolated
from efnst.inputs.gene_kinds import KINDS, genes_of_kinds
from efnst.names import SPATIAL

PERCENTAGES = tuple(f"pct_counts_{kind}" for kind in KINDS)
METRICS = ("total_counts", "n_genes_by_counts", *PERCENTAGES)
MEDIANS = ("counts", "genes", *(f"pct_{kind}" for kind in KINDS))  # as records call the medians of the metrics
MAD_TO_SD = 1.4826  # of a normal distribution


@dataclass(frozen=True)
class Thresholds:
    """Limits a spot has to keep to; the names are those of the parameters."""

    min_counts_per_spot: float
    min_genes_per_spot: float
    max_pct_mt: float
    max_pct_ribo: float
    max_pct_hb: float


LIMITED = dict(zip((field.name for field in fields(Thresholds)), METRICS, strict=True))


def spot_metrics(counts: csr_matrix, kinds: dict[str, np.ndarray]) -> pd.DataFrame:
    """Total counts, genes detected, and percentage of mitochondrial, ribosomal and haemoglobin counts of each spot.

    `counts`: int32 CSR [n_spots, n_genes] without stored zeros; `kinds`: bool [n_genes] for each, see `genes_of_kinds`.
    A spot without counts has 0 %; where no gene of a kind is known, its percentage is NaN in every spot.
    """
    is_one = [np.ones(counts.shape[1]), *(kinds[kind] for kind in KINDS)]
    sums = counts @ np.array(is_one, np.int64).T  # all of them in one pass over the counts
    columns = [sums[:, 0], np.diff(counts.indptr).astype(np.int64), *(100 * sums[:, 1:].T / np.maximum(sums[:, 0], 1))]
    metrics = pd.DataFrame(dict(zip(METRICS, columns, strict=True)))
    metrics[[f"pct_counts_{kind}" for kind in KINDS if not kinds[kind].any()]] = np.nan
    return metrics


def kinds_in(section: AnnData) -> dict[str, np.ndarray]:
    """Which of the genes of a section are of each kind."""
    names = section.var_names.to_numpy()
    return genes_of_kinds(names, section.var["gene_ids"].to_numpy() if "gene_ids" in section.var else names)


def idle_thresholds(section: AnnData, thresholds: Thresholds) -> list[str]:
    """A warning for each percentage that is limited although no gene of its kind is known in the section."""
    limits = {kind: limit for kind in KINDS if (limit := getattr(thresholds, f"max_pct_{kind}")) < 100}
    found = kinds_in(section) if limits else {}
    return [
        f"No gene of the section is known as {KINDS[kind]} (its genes are such as {', '.join(section.var_names[:3])}): "
        f"max_pct_{kind} {limit:g} leaves out no spot."
        for kind, limit in limits.items()
        if not found[kind].any()
    ]


def with_mads(thresholds: Thresholds, metrics: pd.DataFrame, mads: float) -> Thresholds:
    """`thresholds` made tighter where `mads` scaled MADs from the median of the section ask for it.

    Counts and genes are looked at on a logarithmic scale and from below, percentages from above; 0 changes nothing.
    """
    if not mads:
        return thresholds
    found = {}
    for name, metric in LIMITED.items():
        is_least = name.startswith("min")
        values = np.log1p(metrics[metric]) if is_least else metrics[metric]
        median = float(np.median(values))
        spread = mads * MAD_TO_SD * float(np.median(np.abs(values - median)))
        limit = getattr(thresholds, name)
        if is_least:
            found[name] = max(limit, round(float(np.expm1(median - spread)), 3))
        elif spread > 0:  # more than half of the spots may have none at all: that limits nothing
            found[name] = min(limit, round(median + spread, 3))
    return replace(thresholds, **found)


def spots_lost(metrics: pd.DataFrame, thresholds: Thresholds) -> dict[str, np.ndarray]:
    """For each threshold the spots it takes, bool [n_spots]; a spot counts for the first threshold that takes it."""
    lost, gone = {}, np.zeros(len(metrics), bool)
    for name, metric in LIMITED.items():
        limit, values = getattr(thresholds, name), metrics[metric].to_numpy()
        lost[name] = (values < limit if name.startswith("min") else values > limit) & ~gone
        gone |= lost[name]
    return lost


def keep_good_spots(
    section: AnnData, thresholds: Thresholds, mads: float = 0
) -> tuple[AnnData, dict[str, int], Thresholds]:
    """The spots of `section` (raw counts) that keep to the thresholds, with their metrics in `obs`.

    Also the spots that each threshold took, and the thresholds that were used, which `mads` may make tighter. Raises
    EfnstError, with what each threshold took, when no spot is left.
    """
    metrics = spot_metrics(section.X, kinds_in(section))
    metrics.index = section.obs_names
    used = with_mads(thresholds, metrics, mads)
    lost = spots_lost(metrics, used)
    keep = ~np.any(list(lost.values()), axis=0)
    counts = {name: int(taken.sum()) for name, taken in lost.items()}
    if not keep.any():
        limits = asdict(used)
        took = ", ".join(f"{name} {limits[name]:g} took {count}" for name, count in counts.items())
        middle = ", ".join(f"{name} {metrics[name].median():g}" for name in METRICS if metrics[name].notna().any())
        raise EfnstError(
            f"Expected spots to be left after quality control, found none of {section.n_obs} ({took}; medians before: "
            f"{middle}): loosen these parameters or leave the section out."
        )
    section.obs[list(METRICS)] = metrics
    return (section if keep.all() else section[keep].copy()), counts, used


def qc_record(section: AnnData, lost: dict[str, int], pitch_px: float) -> dict:
    """What section_qc.json holds about the spots kept in `section`, which `keep_good_spots` returned."""
    quantiles = {name: _quantiles(section.obs[name].to_numpy()) for name in METRICS}
    isolated = n_isolated(np.asarray(section.obsm[SPATIAL]), pitch_px)
    n_in_tissue = section.n_obs + sum(lost.values())
    return {
        "n_spots_in_tissue": n_in_tissue,
        "n_spots_kept": section.n_obs,
        "share_kept": section.n_obs / n_in_tissue,
        "lost": lost,
        "n_isolated_spots": isolated,
        "share_isolated": isolated / section.n_obs,
        **{f"median_{name}": middle and middle[2] for name, middle in zip(MEDIANS, quantiles.values(), strict=True)},
        "quantiles": quantiles,
    }


def _quantiles(values: np.ndarray) -> list[float] | None:
    """Smallest value, quartiles and largest; None where the values are not known."""
    return None if np.isnan(values).any() else np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
