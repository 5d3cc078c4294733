"""From units back to bins: the domain of each bin or cell, from its own counts, the units around it, its neighbours."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import read_elem, write_elem
from scipy import sparse
from scipy.spatial import cKDTree
from scipy.special import softmax

from efnst.domains.mean_field import mean_field
from efnst.geometry.lattice import bilinear
from efnst.geometry.neighbours import neighbour_graph
from efnst.image.picture import sizes_in
from efnst.inputs.hdf5 import opened
from efnst.names import (
    BASELINES,
    CONFIDENCE,
    DOMAIN,
    DOMAIN_PROBABILITY,
    LABEL,
    LATTICE,
    NAME,
    NAME_PROBABILITY,
    NOVELTY,
    PROVENANCE,
    SPATIAL,
    UNIT,
)
from efnst.palette import scanpy_colours

ROWS_AT_ONCE = 50_000
NEIGHBOURS = 8  # of a bin, in the spatial prior
STRENGTH = 1.0  # what a neighbour in a domain for certain adds to the logarithm of a bin's odds of it
DOUBT = 0.05  # added to the units' probabilities, so that a bin's own counts can speak against all of them
PSEUDO_COUNT = 0.1  # of each gene, in the profile of the section; the domains' profiles are drawn towards that
SWEEPS = 20
FURTHER_COLUMNS = {  # where there are any
    **{DOMAIN_PROBABILITY: "domain_probability", NOVELTY: "novelty"},
    **{NAME: "name", NAME_PROBABILITY: "name_probability"},
}
COLUMNS = {DOMAIN: "domain"} | {name: name for name in BASELINES}  # of domains.csv, by the names of obs


@dataclass(frozen=True)
class Bins:
    """The bins or cells of a section, all in tissue.

    `unit` int [n_bins] is the number of each one's unit, `lattice` float [n_bins, 2] its place in steps of the units,
    `labels` [n_bins] those that were given, if any. Their counts stay in `path`, where `counts` reads them.
    """

    path: Path
    barcodes: pd.Index
    unit: np.ndarray
    lattice: np.ndarray
    labels: pd.Series | None

    def counts(self) -> Iterator[sparse.csr_matrix]:
        """int32 CSR [≤ 50,000, n_genes], block by block."""
        with opened(self.path) as file:
            group = file["X"]
            shape, ends = group.attrs["shape"], group["indptr"][:]
            for start in range(0, len(self.barcodes), ROWS_AT_ONCE):
                indptr = ends[start : start + ROWS_AT_ONCE + 1]
                part = slice(int(indptr[0]), int(indptr[-1]))
                arrays = group["data"][part], group["indices"][part], indptr - indptr[0]
                yield sparse.csr_matrix(arrays, (len(indptr) - 1, int(shape[1])))


def read_bins(path: Path) -> Bins:
    """Bins as read_section.py wrote them, without their counts."""
    with opened(path) as file:
        obs, lattice = read_elem(file["obs"]), read_elem(file["obsm"])[LATTICE]
    return Bins(path, obs.index, obs[UNIT].to_numpy(), np.asarray(lattice), obs.get(LABEL))


def bin_domains(
    bins: Bins, counts: sparse.csr_array, units: pd.DataFrame, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Domain 1 … K int [n_bins] of each bin and its probability.

    `counts` [n_units, n_genes] and `shares` [n_units, n_domains] are the units' counts and the probabilities of their
    domains, `units` has the place of each on the lattice, `array_row` and `array_col`. With c_b the bin's counts, p_k
    the expression profile of domain k, u_b the probabilities of the units around the bin, interpolated, and the sum
    over its 8 nearest bins,

        q_bk ∝ (u_bk + 0.05) · Π_g p_kg^c_bg · exp(Σ_j q_jk)

    until no probability changes by more than 0.001, at most 20 times: the mean field of a Potts model, as in
    `mean_field`. Time and memory are linear in the bins.
    """
    profiles = np.log(domain_profiles(counts, shares)).T
    own = np.concatenate([np.asarray(block @ profiles) for block in bins.counts()])
    around = bilinear(bins.lattice, units[["array_row", "array_col"]].to_numpy()) @ shares
    evidence = own - own.max(1, keepdims=True) + np.log(around + DOUBT)
    graph = neighbour_graph(bins.lattice, NEIGHBOURS).astype(np.float64)
    probabilities = mean_field(lambda _: evidence, softmax(evidence, axis=1), graph, STRENGTH, SWEEPS)
    return probabilities.argmax(1) + 1, probabilities.max(1)


def domain_profiles(counts: sparse.csr_array, shares: np.ndarray) -> np.ndarray:
    """Share of each gene in the counts of each domain, float64 [n_domains, n_genes], none 0; rows sum to 1.

    As many counts as `PSEUDO_COUNT` a gene are added to every domain, spread as the section's own are: a gene that few
    units of a domain show says little about it.
    """
    summed = np.asarray((sparse.csr_array(counts).T @ shares).T, np.float64)
    everywhere = summed.sum(0) + PSEUDO_COUNT
    raised = summed + PSEUDO_COUNT * len(everywhere) * everywhere / everywhere.sum()
    return raised / raised.sum(1, keepdims=True)


def units_of(bins: Bins, units: pd.DataFrame) -> np.ndarray:
    """The row of each bin's unit in `units`, int [n_bins]; where quality control left that out, of the nearest one."""
    place = np.full(max(int(bins.unit.max()), int(units[UNIT].max())) + 1, -1)
    place[units[UNIT]] = np.arange(len(units))
    found = place[bins.unit]
    lost = found < 0
    if lost.any():
        tree = cKDTree(units[["array_row", "array_col"]].to_numpy(float))
        found[lost] = tree.query(bins.lattice[lost])[1]
    return found


def write_bins(bins: Bins, table: pd.DataFrame, path: Path, units: AnnData) -> None:
    """The bins with their domains as .h5ad: the file of read_section.py and, in `obs`, the columns of domains.csv.

    The pictures, and how all was made, are those of the final `units`. The counts are copied as they are, without
    reading them.
    """
    shutil.copyfile(bins.path, path)
    with h5py.File(path, "r+") as file:
        obs, uns = read_elem(file["obs"]), read_elem(file["uns"])
        for name, column in COLUMNS.items():
            obs[name] = domain_categories(table[column].to_numpy())
        obs[CONFIDENCE] = table["confidence"].to_numpy()
        for name, column in FURTHER_COLUMNS.items():
            if column in table:
                values = table[column].to_numpy()
                obs[name] = pd.Categorical(values) if name == NAME else values
        del file["obs"], file["uns"]
        write_elem(file, "obs", obs)
        sizes = sizes_in(AnnData(obs=obs, uns=uns))
        pictures = {
            sample: held | {"scalefactors": held["scalefactors"] | sizes} for sample, held in units.uns[SPATIAL].items()
        }
        uns |= {PROVENANCE: units.uns[PROVENANCE], SPATIAL: pictures} | scanpy_colours(obs)
        write_elem(file, "uns", uns, dataset_kwargs={"compression": "gzip"})


def read_bin_domains(path: Path) -> AnnData:
    """What `write_bins` wrote, without the counts: domains and places of bins."""
    with opened(path) as file:
        obs, obsm, uns = (read_elem(file[name]) for name in ("obs", "obsm", "uns"))
    return AnnData(obs=obs, obsm=obsm, uns=uns)


def domain_categories(labels: np.ndarray) -> pd.Categorical:
    """Labels as categories `1` … `K` in numeric order."""
    return pd.Categorical(labels.astype(str), [str(label) for label in np.unique(labels)])
