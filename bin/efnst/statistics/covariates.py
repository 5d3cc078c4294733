"""What the samplesheet says of the sections beside their files: numbers or levels, by sample."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from efnst.inputs.missing import is_missing
from efnst.records.cohort import SheetRow

GROUP = "group"
NAME = r"[+-]?(0\d|\d{16})"  # whole numbers that float64 does not hold as they are spelt


def covariate_table(rows: Sequence[SheetRow]) -> pd.DataFrame:
    """Group and further columns of the samplesheet, indexed by `sample`, without those that nowhere hold a value.

    A column all of whose known values are quantities is float64, any other is text; what is not known is missing.
    """
    values = {row.id: {GROUP: row.group} | row.covariates for row in rows}
    table = pd.DataFrame.from_dict(values, orient="index", dtype=object).rename_axis("sample")
    table = table.mask(table.fillna("").map(is_missing), None).dropna(axis=1, how="all")
    return table.apply(_typed)


def with_covariates(table: pd.DataFrame, covariates: pd.DataFrame) -> pd.DataFrame:
    """A table with the column `sample`, and the covariates of each row's sample behind its own columns."""
    return table.join(covariates, on="sample")


def in_full(number: float) -> str:
    """A number with all its digits, a whole one without a point."""
    return str(float(number)).removesuffix(".0")


def _typed(column: pd.Series) -> pd.Series:
    """A column of text as numbers where all that is known of it are quantities; a group is a name always.

    `007` and 16 digits are names, too, and two numbers that several samples have are codes; these stay as spelt.
    """
    known = column.dropna()
    numbers = pd.to_numeric(known, errors="coerce").astype(float)
    if column.name == GROUP or not np.isfinite(numbers).all() or known.str.match(NAME).any():
        return column
    if numbers.nunique() == 2 and len(numbers) > 2:
        spelt = dict(zip(reversed(list(numbers)), reversed(list(known)), strict=True))  # as it first comes
        return numbers.map(spelt).astype(object).reindex(column.index).where(column.notna(), None)
    return numbers.reindex(column.index)
