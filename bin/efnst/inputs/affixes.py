"""Barcodes that are written otherwise in one file than in another: with other things around the sequence."""

from typing import TypeVar

import pandas as pd

Table = TypeVar("Table", pd.Series, pd.DataFrame)
LOOKED_AT = 1000  # barcodes, before all are
ENOUGH = 0.9  # of these, so that no others are looked for
SEQUENCE = r"[ACGT]{12,}|s_\d{3}um_\d+_\d+|cellid_\d+"  # what of a barcode names the place on the slide


def with_names_of(barcodes: pd.Index, table: Table, what: str) -> tuple[Table, list[str]]:
    """`table` by the barcodes of the section where only what stands around the sequence differs, and a warning then.

    Where some are the same as they are, the way that matches more is taken. `what` the table holds, for the warning.
    """
    if (table.index.get_indexer(barcodes[:LOOKED_AT]) >= 0).mean() > ENOUGH:
        return table, []
    spots, given = (pd.Series(index, index).str.extract(f"({SEQUENCE})")[0] for index in (barcodes, table.index))
    if spots.hasnans or given.hasnans or not (spots.is_unique and given.is_unique):
        return table, []
    if given.isin(spots).sum() <= table.index.isin(barcodes).sum():
        return table, []
    known = pd.Series(spots.index, spots)
    names = given.map(known).fillna(pd.Series(given.index, given.index))
    is_known = given.isin(spots).to_numpy()
    example = f"{table.index[is_known][0]} for {names[is_known].iloc[0]}"
    said = f"The barcodes of the {what} are written otherwise ({example}): they were matched by their sequence."
    return table.set_axis(names.to_numpy(), axis=0), [said]
