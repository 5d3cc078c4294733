"""What the samplesheet says of the sections beside their files: numbers or levels, by sample."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from efnst.inputs.missing import is_missing
from efnst.records.cohort import SheetRow

GROUP = "group"


def covariate_table(rows: Sequence[SheetRow]) -> pd.DataFrame:
    """Group and further columns of the samplesheet, indexed by `sample`, without those that nowhere hold a value.

    A column all of whose known values are numbers is float64, any other is text; what is not known is missing.
    """
    values = {row.id: {GROUP: row.group} | row.covariates for row in rows}
    table = pd.DataFrame.from_dict(values, orient="index", dtype=object).rename_axis("sample")
    table = table.mask(table.fillna("").map(is_missing), None).dropna(axis=1, how="all")
    return table.apply(_typed)


def with_covariates(table: pd.DataFrame, covariates: pd.DataFrame) -> pd.DataFrame:
    """A table with the column `sample`, and the covariates of each row's sample behind its own columns."""
    return table.join(covariates, on="sample")


def _typed(column: pd.Series) -> pd.Series:
    """A column of text as numbers where all that is known of it are finite numbers; a group is a name always."""
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    is_number = column.name != GROUP and np.isfinite(numbers[column.notna()]).all()
    return numbers if is_number else column
