"""Activity of gene sets in domains, by the univariate linear model of decoupler (Badia-i-Mompel 2022)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp

from efnst.genes.markers import domain_profile
from efnst.inputs.gene_names import plain_name

LEAST_GENES = 5  # of a set, and beside it, among the genes tested
LEAST_SPREAD = 1e-9  # of z scores; less is rounding
SHOWN_LEFT_OUT = 5  # sets that are named as left out
COLUMNS = ["domain", "gene_set", "n_genes", "activity", "p_adjusted"]


def gene_set_table(
    expression: sp.csc_matrix, genes: np.ndarray, domains: pd.Categorical, sets: Mapping[str, Sequence[str]]
) -> tuple[pd.DataFrame, list[str]]:
    """The activity of each set in each domain, the most active first, and a note about sets that are left out.

    expression: log1p-normalised [n_spots, n_genes]; genes: symbols [n_genes], matched in any case of letters. Activity:
    the t value of the set's genes against all others in the domain's mean z scores over all spots; p values are
    two-sided, adjusted per domain (Benjamini-Hochberg). A domain without spots, or like the section in every gene, has
    no rows; with fewer than two others none has.
    """
    members = _members(genes, sets)
    used = {name: found for name, found in members.items() if LEAST_GENES <= len(found) <= len(genes) - LEAST_GENES}
    notes = _left_out([name for name in sets if name not in used])
    scores = domain_z_scores(expression, domains)
    n_spots = np.bincount(domains.codes[domains.codes >= 0], minlength=len(scores))
    told = np.flatnonzero((n_spots > 0) & (np.ptp(scores, axis=1) > LEAST_SPREAD))
    if used and len(told) < 2:
        notes, used = [*notes, "Activity of gene sets compares domains, of which fewer than two differ here."], {}
    if not used:
        return pd.DataFrame(columns=COLUMNS), notes
    activity, p_adjusted = _univariate_models(scores[told], used)
    tables = [
        pd.DataFrame(
            {
                "domain": str(domains.categories[domain]),
                "gene_set": list(used),
                "n_genes": [len(found) for found in used.values()],
                "activity": activity[row],
                "p_adjusted": p_adjusted[row],
            }
        ).sort_values("activity", ascending=False, kind="stable")
        for row, domain in enumerate(told)
    ]
    return pd.concat(tables, ignore_index=True), notes


def domain_z_scores(expression: sp.csc_matrix, domains: pd.Categorical) -> np.ndarray:
    """Mean z score of each gene in each domain, float64 [n_domains, n_genes]; 0 for a gene that is the same everywhere.

    expression: [n_spots, n_genes]; z scores are over all spots.
    """
    mean = np.asarray(expression.mean(axis=0)).ravel()
    squares = np.asarray(expression.multiply(expression).mean(axis=0)).ravel()
    spread = np.sqrt(np.maximum(squares - mean**2, 0))
    deviation = domain_profile(expression, domains)[0] - mean
    return np.divide(deviation, spread, out=np.zeros_like(deviation), where=spread > LEAST_SPREAD)


def _members(genes: np.ndarray, sets: Mapping[str, Sequence[str]]) -> dict[str, list[int]]:
    """For each set where its genes stand among `genes`, rising."""
    places = {}
    for place, gene in enumerate(genes):
        places.setdefault(plain_name(gene).upper(), []).append(place)
    return {
        name: sorted({place for symbol in symbols for place in places.get(plain_name(symbol).upper(), [])})
        for name, symbols in sets.items()
    }


def _univariate_models(scores: np.ndarray, members: Mapping[str, Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """t values and adjusted p values of decoupler's ulm, each float64 [n_domains, n_sets], sets as in `members`."""
    import decoupler  # takes seconds

    names = np.array([f"g{number}" for number in range(scores.shape[1])])
    rows = [(name, names[place]) for name, places in members.items() for place in places]
    net = pd.DataFrame(rows, columns=["source", "target"])
    data = pd.DataFrame(scores, [str(row) for row in range(len(scores))], names)
    found = decoupler.mt.ulm(data, net, tmin=LEAST_GENES, empty=False)
    return tuple(table.loc[data.index, list(members)].to_numpy() for table in found)


def _left_out(names: list[str]) -> list[str]:
    """A note that names the sets of which too few genes, or all, were tested."""
    if not names:
        return []
    more = f" and {len(names) - SHOWN_LEFT_OUT} more" if len(names) > SHOWN_LEFT_OUT else ""
    return [
        f"{len(names)} gene sets were left out, of which fewer than {LEAST_GENES} genes, or all but so many, were "
        f"tested here: {', '.join(names[:SHOWN_LEFT_OUT])}{more}."
    ]
