"""Which genes of the sections of a cohort are the same: by identifier first, by symbol second."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from anndata.utils import make_index_unique

from efnst.genes.shared import GeneNumbers, unambiguous


def common_genes(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """What the cohort calls the genes of each sample: `gene`, unique in the cohort, and `gene_id`, by own symbol.

    `tables`: by sample, with the index (`gene`, `gene_id`) of `read_sums`. Sections that have both, identifiers and
    symbols, come first, since they tell which identifier of one section is which symbol of another.
    """
    names = {sample: _names(table) for sample, table in tables.items()}
    genes, named = GeneNumbers(), []
    known: dict[int, list[int]] = {}  # by position: numbers of the genes of one list, which many sections have alike
    lists, places = _distinct(list(names.values()))
    for place in sorted(range(len(lists)), key=lambda place: -(lists[place][0] != lists[place][1]).sum()):
        ids, symbols = lists[place]
        known[place] = genes.numbers(ids, symbols)
        named += [None] * (len(genes.ids) - len(named))
        for number, symbol, gene_id in zip(known[place], symbols, ids, strict=True):
            if named[number] is None or (named[number][0] == named[number][1] and symbol != gene_id):
                named[number] = symbol, gene_id
    of_cohort = pd.DataFrame(named, columns=["gene", "gene_id"], dtype=object)
    of_cohort["gene"] = make_index_unique(pd.Index(of_cohort["gene"].astype(str))).to_numpy(dtype=object)
    return {
        sample: of_cohort.iloc[known[place]].set_axis(pd.Index(names[sample][1], name="own"))
        for sample, place in zip(names, places, strict=True)
    }


def _names(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Unambiguous identifiers and symbols of a table's genes, each text [n_genes]."""
    symbols, ids = (table.index.get_level_values(level) for level in ("gene", "gene_id"))
    return np.asarray(unambiguous(ids, symbols), dtype=object), symbols.to_numpy(dtype=object)


def _distinct(names: list[tuple[np.ndarray, np.ndarray]]) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[int]]:
    """The different ones of these lists of genes, and which of them each is."""
    lists, places = [], []
    for ids, symbols in names:
        alike = (
            place
            for place, known in enumerate(lists)
            if np.array_equal(known[1], symbols) and np.array_equal(known[0], ids)
        )
        places.append(next(alike, len(lists)))
        lists += [(ids, symbols)] if places[-1] == len(lists) else []
    return lists, places
