"""Genes that several sections share: by identifier first, by symbol second, by the mean rank of their Moran's I."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pandas as pd
from anndata import AnnData

from efnst.errors import EfnstError
from efnst.genes.expression import gene_morans_i, log_normalise
from efnst.geometry.neighbours import NEAREST, neighbour_graph
from efnst.inputs.gene_names import plain_name, plain_names
from efnst.names import SPATIAL

FEWEST_GENES, FEWEST_ALONE = 50, 2  # of several sections, of one by itself


@dataclass(frozen=True)
class Compared:
    """What genes are told apart by, `ids` and `symbols` text [n_genes]: names as they are compared (`plain_names`).

    For an identifier of several genes, also if only by its version or genome, there stands the symbol; a symbol that
    becomes that of another gene is as it was.
    """

    ids: np.ndarray
    symbols: np.ndarray

    @classmethod
    def of(cls, ids: np.ndarray | pd.Series, symbols: np.ndarray | pd.Index) -> Self:
        """Of identifiers and unique symbols, as sections have them."""
        plain = plain_names(symbols)
        return cls(plain_names(ids, otherwise=plain), plain)


@dataclass(frozen=True)
class SharedGenes:
    """Genes by falling structure: `ids` and `symbols` text [n_genes], `profile` [n_genes] their share of all counts."""

    ids: np.ndarray
    symbols: np.ndarray
    profile: np.ndarray

    def columns(self, section: AnnData) -> np.ndarray:
        """The column of each gene in `section`, int [n_genes], no column twice; -1 where it is not measured."""
        own, wanted = Compared.of(section.var["gene_ids"], section.var_names), Compared.of(self.ids, self.symbols)
        by_id = {gene: place for place, gene in enumerate(own.ids)}
        ids = _as_known(self.ids, wanted.ids, by_id)
        taken = set(ids)
        by_symbol = {name: place for place, name in enumerate(own.symbols) if own.ids[place] not in taken}
        symbols = _as_known(self.symbols, wanted.symbols, by_symbol)
        found = (
            by_id.pop(gene) if gene in by_id else by_symbol.pop(symbol, -1)
            for gene, symbol in zip(ids, symbols, strict=True)
        )
        return np.fromiter(found, int, len(self.ids))

    def missing(self, section: AnnData) -> float:
        """Share of the genes that `section` does not measure."""
        return float((self.columns(section) < 0).mean())


@dataclass
class GeneNumbers:
    """One number for each gene of all sections so far: by identifier first, by symbol second.

    `ids` and `symbols` are those of the first section that has the gene, `known` what its identifier is compared as.
    """

    ids: list[str] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    by_id: dict[str, int] = field(default_factory=dict)
    by_symbol: dict[str, int] = field(default_factory=dict)

    def numbers(self, ids: np.ndarray, symbols: np.ndarray) -> list[int]:
        """The number of each gene of a section; genes that were not there before get one. ids: `unambiguous`."""
        compared = Compared.of(ids, symbols)
        own, names = set(compared.ids), zip(compared.ids, compared.symbols, ids, symbols, strict=True)
        return [self._number(*of_gene, own) for of_gene in names]

    def _number(self, plain_id: str, plain_symbol: str, gene_id: str, symbol: str, own: set[str]) -> int:
        """The number of one gene of a section with the identifiers `own`."""
        if plain_id in self.by_id:
            return self.by_id[plain_id]
        number = self.by_symbol.get(plain_symbol, len(self.ids))
        if number == len(self.ids) or self.known[number] in own:  # in the latter case the section has that gene, too
            number = len(self.ids)
            self.ids.append(gene_id)
            self.symbols.append(symbol)
            self.known.append(plain_id)
            self.by_symbol.setdefault(plain_symbol, number)
        self.by_id[plain_id] = number
        return number


@dataclass
class Survey(GeneNumbers):
    """The genes of all sections so far; `sums` [n_genes, 3]: how many measure each, and of these ranks and shares."""

    sums: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    n_sections: int = 0
    min_spots: int = 0

    def add(self, section: AnnData, min_spots: int) -> None:
        """Look at one more section.

        A gene's rank is 0 for the largest Moran's I, 1 for the smallest and for genes in fewer than `min_spots` spots.
        """
        counts = section.X.tocsr()
        normalised = log_normalise(counts)
        candidates = np.flatnonzero(np.bincount(normalised.indices, minlength=section.n_vars) >= min_spots)
        graph = neighbour_graph(np.asarray(section.obsm[SPATIAL], float), NEAREST)
        index = gene_morans_i(normalised.tocsc()[:, candidates], graph)
        rank = np.ones(section.n_vars)
        rank[candidates[np.argsort(-index, kind="stable")]] = np.arange(len(candidates)) / max(len(candidates), 1)
        share = np.asarray(counts.sum(0)).ravel() / max(counts.sum(), 1)
        numbers, first = np.unique(self.numbers(unambiguous_ids(section), section.var_names), return_index=True)
        grown = np.zeros((len(self.ids), 3))
        grown[: len(self.sums)] = self.sums
        grown[numbers] += np.column_stack([np.ones(len(first)), rank[first], share[first]])
        self.sums, self.n_sections, self.min_spots = grown, self.n_sections + 1, min_spots

    def chosen(self, n_genes: int, least_share: float) -> SharedGenes:
        """The `n_genes` genes with the best mean rank, of those that `least_share` of the sections measure."""
        measured = self.sums[:, 0]
        rank, share = (self.sums[:, 1:] / measured[:, None]).T
        kept = np.flatnonzero((measured >= least_share * self.n_sections - 1e-9) & (rank < 1))
        if self.n_sections == 1 and len(kept) < FEWEST_ALONE:
            raise EfnstError(
                f"Expected at least {FEWEST_ALONE} genes seen in {self.min_spots} or more spots, found {len(kept)}. "
                "Lower min_spots_per_gene, or look at the section's counts."
            )
        if self.n_sections > 1 and len(kept) < FEWEST_GENES:
            raise EfnstError(
                f"Expected at least {FEWEST_GENES} genes that {100 * least_share:g}% of the {self.n_sections} sections "
                f"measure, found {len(kept)}. Are they of one species? Or lower --shared_genes."
            )
        best = kept[np.argsort(rank[kept], kind="stable")][:n_genes]
        return SharedGenes(np.array(self.ids)[best], np.array(self.symbols)[best], share[best])


def unambiguous_ids(section: AnnData) -> np.ndarray:
    """The identifier of each gene, text [n_genes]; its symbol where the identifier is that of several."""
    return unambiguous(section.var["gene_ids"].astype(str), section.var_names)


def unambiguous(ids: pd.Index | pd.Series, symbols: pd.Index) -> np.ndarray:
    """The same from identifiers and symbols, each text [n_genes]."""
    several = pd.Index(map(plain_name, ids)).duplicated(keep=False)
    return np.where(several, symbols, ids)


def _as_known(names: np.ndarray, plain: np.ndarray, known: Mapping[str, int]) -> list[str]:
    """Names as they are where these are known, as those that are ambiguous in a section, else as they are compared."""
    return [name if name in known else other for name, other in zip(names, plain, strict=True)]
