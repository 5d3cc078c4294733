"""Files that hold several sections, which are refused by what proves it, with the way to take them apart."""

import pandas as pd

from efnst.errors import EfnstError

NAMES_OF_SECTIONS = 50  # a column with more values does not name sections


def require_one_section(obs: pd.DataFrame, name: str) -> None:
    """Refuse spots of several sections, `obs` by barcode, with the array where it is known; `name` is the file's.

    On one section no place of the array is taken twice, and no barcode has the sequence of another.
    """
    keys = _places(obs)
    repeated = keys[keys.duplicated(keep=False)]
    if len(repeated) < 2:
        return
    first = repeated.index[repeated == repeated.iloc[0]][:2]
    column = _column_of_sections(obs, keys)
    how = f"the column {column} of obs says which: " if column else ""
    raise EfnstError(
        f"Expected one section in {name}, found several: {len(repeated)} of {len(keys)} spots share their place on the "
        f"slide with another one, such as {' and '.join(map(str, first))}; {how}write each section to a file of its "
        "own, with its own positions and image, or give the folder that it came from."
    )


def _places(obs: pd.DataFrame) -> pd.Series:
    """What no two spots of one section have in common: row and column, or the sequence of the barcode."""
    if {"array_row", "array_col"} <= set(obs.columns):
        return pd.to_numeric(obs["array_row"]).astype("int64") * 2**32 + pd.to_numeric(obs["array_col"]).astype("int64")
    sequence = pd.Series(obs.index, obs.index).astype(str).str.extract(r"([ACGT]{16})")[0]
    return sequence if not sequence.hasnans else pd.Series(range(len(obs)), obs.index)


def _column_of_sections(obs: pd.DataFrame, places: pd.Series) -> str | None:
    """A column each of whose values has every place once."""
    for name in obs.columns:
        values = obs[name].astype(str)
        if (
            1 < values.nunique() <= NAMES_OF_SECTIONS
            and not pd.DataFrame({"a": values, "b": places}).duplicated().any()
        ):
            return str(name)
    return None
