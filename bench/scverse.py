#!/usr/bin/env python3
"""CPU seconds, memory and agreement of our kernels beside scanpy's functions for the same. Prints a Markdown table.

    ./efnst python bench/scverse.py [--section DATA/dlpfc_151673] [--units 50000] [--kernels markers morans_i]

The counts are those of a labelled Visium section, with its labels as domains, or simulated: --units on a square grid ×
18,000 genes with some 900 genes a unit, in 8 domains. Every figure is of a process of its own with one thread, which
imports and compiles what it needs, as a task in a container does; seconds are of CPU, the memory is the largest.
"difference" is the largest one between the two results, relative to the largest value; of neighbours the share of spots
whose six nearest differ. Components differ by the factor √(n / (n - 1)), since scanpy scales by n - 1.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from anndata import AnnData

BIN = Path(__file__).resolve().parents[1] / "bin"
N_GENES, MEAN_COUNTS, N_DOMAINS, PITCH_PX = 18_000, 2000, 8, 30.0
N_FOR_COMPONENTS, N_COMPONENTS = 2000, 30
N_NEIGHBOURS = 6
MIN_SPOTS = 3


def simulated(folder: Path, n_units: int) -> str:
    """Units on a square grid, their domains bands of it."""
    from efnst.inputs.feature_matrix import read_matrix
    from read_section import write_counts

    barcodes = np.array([f"U{number:08d}-1" for number in range(n_units)])
    write_counts(folder / "counts.h5", barcodes, N_GENES, MEAN_COUNTS)
    side, places = int(np.ceil(np.sqrt(n_units))), np.arange(n_units)
    positions = PITCH_PX * np.column_stack([places % side, places // side])
    save(folder, read_matrix(folder / "counts.h5").counts, positions, places * N_DOMAINS // n_units, PITCH_PX)
    return f"simulated, {n_units:,}"


def labelled(folder: Path, section: Path) -> str:
    """The labelled spots of a Visium section, their labels as domains."""
    from efnst.inputs.section import load_section
    from efnst.names import LABEL, SECTION, SPATIAL

    data = load_section("bench", section, "none", str(section / "labels.csv"))[0]
    data = data[data.obs[LABEL].notna()]
    domains = np.unique(data.obs[LABEL].to_numpy(str), return_inverse=True)[1]
    save(folder, data.X, data.obsm[SPATIAL], domains, data.uns[SECTION]["pitch_px"])
    return f"{section.name}, {data.n_obs:,}"


def save(folder: Path, counts: sparse.csr_matrix, positions: np.ndarray, domains: np.ndarray, pitch_px: float) -> None:
    """What the kernels work on: counts of the genes seen in some spots, the same log-normalised, and the rest."""
    from efnst.genes.expression import log_normalise

    counts = sparse.csr_matrix(counts[:, counts.getnnz(axis=0) >= MIN_SPOTS])
    expression = sparse.csr_matrix(log_normalise(sparse.csr_array(counts)))
    for name, matrix in (("counts", counts), ("expression", expression)):
        matrix.sort_indices()
        sparse.save_npz(folder / f"{name}.npz", matrix, compressed=False)
    np.savez(folder / "rest.npz", positions=positions, domains=domains, pitch_px=pitch_px)


class Given:
    """What `save` wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rest = np.load(folder / "rest.npz")
        self.positions, self.domains = rest["positions"], rest["domains"]
        self.pitch_px = float(rest["pitch_px"])

    def matrix(self, name: str) -> sparse.csr_matrix:
        """`counts` or `expression`, [n_spots, n_genes]."""
        return sparse.load_npz(self.folder / f"{name}.npz")

    def annotated(self, name: str) -> "AnnData":
        """The same with domains."""
        import pandas as pd
        from anndata import AnnData

        data = AnnData(self.matrix(name))
        data.obs["domain"] = pd.Categorical(self.domains.astype(str))
        return data

    def graph(self) -> sparse.csr_matrix:
        """Touching spots."""
        from efnst.genes.spatial_genes import touching_spots

        return touching_spots(self.positions, self.pitch_px)


def normalise(given: Given) -> np.ndarray:
    from efnst.genes.expression import log_normalise

    found = log_normalise(sparse.csr_array(given.matrix("counts")))
    found.sort_indices()
    return found.data


def normalise_scanpy(given: Given) -> np.ndarray:
    import scanpy as sc

    data = given.annotated("counts")
    sc.pp.normalize_total(data)
    sc.pp.log1p(data)
    return data.X.data


def markers(given: Given) -> np.ndarray:
    import pandas as pd

    from efnst.genes.markers import members_of, rank_sum_z

    return rank_sum_z(given.matrix("expression").tocsc(), members_of(pd.Categorical(given.domains.astype(str))))


def markers_scanpy(given: Given) -> np.ndarray:
    import scanpy as sc

    data = given.annotated("expression")
    data.uns["log1p"] = {"base": None}
    sc.tl.rank_genes_groups(data, "domain", method="wilcoxon", tie_correct=True, pts=True)
    found, names = data.uns["rank_genes_groups"], data.obs["domain"].cat.categories
    return np.stack([found["scores"][name][np.argsort(found["names"][name].astype(int))] for name in names])


def morans_i(given: Given) -> np.ndarray:
    from efnst.genes.expression import gene_morans_i

    return gene_morans_i(given.matrix("expression"), given.graph())


def morans_i_scanpy(given: Given) -> np.ndarray:
    import scanpy as sc

    return sc.metrics.morans_i(given.graph(), given.matrix("expression").T.tocsr())


def components(given: Given) -> np.ndarray:
    from sklearn.utils.sparsefuncs import mean_variance_axis

    from efnst.genes.decomposition import leading_vectors

    values = given.matrix("expression")[:, :N_FOR_COMPONENTS]
    mean, variance = mean_variance_axis(values, 0)
    moments = np.stack([mean, 1 / np.sqrt(variance)])[None]
    left, sizes, _ = leading_vectors(values, moments, np.zeros(values.shape[0], int), N_COMPONENTS, 0)
    return np.abs(left * sizes)


def components_scanpy(given: Given) -> np.ndarray:
    import scanpy as sc

    scaled = sc.pp.scale(given.matrix("expression")[:, :N_FOR_COMPONENTS], zero_center=False)
    return np.abs(sc.pp.pca(scaled, N_COMPONENTS, svd_solver="arpack", dtype="float64"))


def neighbours(given: Given) -> np.ndarray:
    from efnst.geometry.neighbours import nearest_neighbours

    return np.sort(nearest_neighbours(given.positions, N_NEIGHBOURS), axis=1)


def neighbours_scanpy(given: Given) -> np.ndarray:
    import scanpy as sc
    from anndata import AnnData

    data = AnnData(obsm={"spatial": given.positions})
    sc.pp.neighbors(data, n_neighbors=N_NEIGHBOURS + 1, use_rep="spatial", transformer="sklearn")
    return data.obsp["distances"].indices.reshape(-1, N_NEIGHBOURS)


KERNELS: dict[str, tuple[str, Callable, Callable]] = {
    "normalise": ("normalize_total, log1p", normalise, normalise_scanpy),
    "components": ("scale, pca", components, components_scanpy),
    "neighbours": ("neighbors", neighbours, neighbours_scanpy),
    "morans_i": ("metrics.morans_i", morans_i, morans_i_scanpy),
    "markers": ("rank_genes_groups", markers, markers_scanpy),
}


def work(kernel: str, is_scanpy: bool, folder: Path) -> None:
    """In a process of its own: one kernel; its result and its figures, CPU seconds and GB, to files in `folder`."""
    found = KERNELS[kernel][1 + is_scanpy](Given(folder))
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    np.save(folder / f"{is_scanpy}.npy", found)
    (folder / f"{is_scanpy}.json").write_text(json.dumps([time.process_time(), int(peak.split()[1]) * 1024 / 1e9]))


def measured(kernel: str, is_scanpy: bool, folder: Path) -> tuple[list[float], np.ndarray]:
    """CPU seconds and GB of a kernel, and its result."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    with tempfile.TemporaryDirectory() as compiled:
        environment = os.environ | threads | {"NUMBA_CACHE_DIR": compiled, "PYTHONPATH": str(BIN)}
        given = [kernel, str(int(is_scanpy)), str(folder)]
        subprocess.run([sys.executable, "-W", "ignore", __file__, "--work", *given], env=environment, check=True)
    return json.loads((folder / f"{is_scanpy}.json").read_text()), np.load(folder / f"{is_scanpy}.npy")


def row(kernel: str, name: str, folder: Path) -> str:
    """One row of the table."""
    (seconds, peak), ours = measured(kernel, False, folder)
    (their_seconds, their_peak), theirs = measured(kernel, True, folder)
    if kernel == "neighbours":
        difference = f"{(ours != np.sort(theirs, axis=1)).any(1).mean():.1%} of spots"
    else:
        difference = f"{np.nanmax(np.abs(ours - theirs)) / np.nanmax(np.abs(ours)):.0e}"
    figures = f"{seconds:.1f} | {peak:.2f} | {their_seconds:.1f} | {their_peak:.2f}"
    return f"| {name} | {kernel} | {figures} | {difference} | {KERNELS[kernel][0]} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--section", type=Path)
    parser.add_argument("--units", type=int)
    parser.add_argument("--kernels", nargs="+", choices=KERNELS, default=list(KERNELS))
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        return work(given.work[0], given.work[1] == "1", Path(given.work[2]))
    sizes = [lambda folder: labelled(folder, given.section)] if given.section else []
    sizes += [lambda folder: simulated(folder, given.units)] if given.units else []
    print("| section, spots | kernel | ours, s | GB | scanpy, s | GB | difference | of scanpy |\n" + "|---" * 8 + "|")
    for prepare in sizes:
        with tempfile.TemporaryDirectory() as folder:
            name = prepare(Path(folder))
            for kernel in given.kernels:
                print(row(kernel, name, Path(folder)), flush=True)
    return None


if __name__ == "__main__":
    main()
