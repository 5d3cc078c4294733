"""Labels of bins of another width than those of the section: the commonest of finer bins, one of wider ones for all."""

import re

import numpy as np
import pandas as pd

from efnst.errors import EfnstError
from efnst.inputs.barcodes import BIN
from efnst.inputs.pooling import commonest


def for_bins(barcodes: pd.Index, labels: pd.Series) -> tuple[pd.Series, list[str]]:
    """`labels` by the `barcodes` of the section where those of both are of bins, of different widths; a warning then.

    Raises EfnstError where the bins of neither width lie within those of the other.
    """
    own, given = _bins(barcodes), _bins(labels.index)
    if own is None or given is None or (widths := (own[0, 0], given[0, 0]))[0] == widths[1]:
        return labels, []
    wide, narrow = max(widths), min(widths)
    if wide % narrow:
        raise EfnstError(
            f"Expected labels of the bins of {widths[0]} µm, found some of bins of {widths[1]} µm "
            f"({labels.index[0]}), which do not lie within these: give labels of {widths[0]} µm, or bin_um {widths[1]}."
        )
    places, holders = (pd.MultiIndex.from_arrays((bins[:, 1:] * bins[:, :1] // wide).T) for bins in (own, given))
    if widths[0] == narrow:
        found = holders.get_indexer(places)
        known, said = found >= 0, f"each bin of {narrow} µm has the label of the one of {wide} µm that it lies in"
        moved = pd.Series(labels.to_numpy()[found[known]], barcodes[known], dtype=object)
    else:
        found = places.get_indexer(holders)
        known, said = found >= 0, f"each bin of {wide} µm has the commonest label of those in it"
        voted = commonest(pd.Series(pd.Categorical(labels[known])), found[known], len(barcodes))
        moved = pd.Series(voted.astype(object), barcodes).iloc[np.unique(found[known])]
    if not known.any():
        return labels, []
    return moved, [f"The labels are of bins of {widths[1]} µm: {said}."]


def _bins(barcodes: pd.Index) -> np.ndarray | None:
    """Width, row and column of bins, int [n, 3]; None where the barcodes are not all of bins of one width."""
    if not len(barcodes) or not re.search(BIN, str(barcodes[0])):
        return None
    found = barcodes.to_series().astype(str).str.extract(BIN)
    if found.isna().any(axis=None) or found[0].nunique() > 1:
        return None
    return found.to_numpy(np.int64)
