"""Tables of several sections: refused by what proves it, or taken apart by a column that names the sections."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from efnst.errors import EfnstError

NAMES_OF_SECTIONS = 50  # a column with more values does not name sections
USUAL_COLUMNS = ("library_id", "library", "sample", "sample_id", "section", "batch")  # looked at first
NO_NAMES = ("in_tissue", "array_row", "array_col")
SEQUENCE = r"[ACGT]{16}"  # of a barcode; what stands around it may tell sections apart
BARCODES = "the barcodes"


def require_one_section(obs: pd.DataFrame, name: str) -> None:
    """Refuse spots of several sections, `obs` by barcode, with the array where it is known; `name` is the file's.

    On one section no place of the array is taken twice, and no barcode has the sequence of another.
    """
    keys = _places(obs)
    repeated = keys[keys.duplicated(keep=False)]
    if len(repeated) < 2:
        return
    first = repeated.index[repeated == repeated.iloc[0]][:2]
    column, names = sections_in(obs)
    how = "write each section to a file of its own, with its own positions and image, or give the folder it came from"
    if names:
        said = "tell" if column == BARCODES else "of obs says"
        how = f"{_of(column)} {said} which: give each a row, with its name in the column library ({_listed(names)})"
    raise EfnstError(
        f"Expected one section in {name}, found several: {len(repeated)} of {len(keys)} spots share their place on the "
        f"slide with another one, such as {' and '.join(map(str, first))}; {how}."
    )


def sections_in(obs: pd.DataFrame) -> tuple[str, list[str]]:
    """What tells the sections of a table apart, and their names in order; none where nothing does, or it holds one."""
    if not _places(obs).duplicated().any():
        return "", []
    column, values = next(_naming(obs), ("", pd.Series(dtype=str)))
    return column, list(dict.fromkeys(values))


def rows_of_section(obs: pd.DataFrame, library: str, name: str) -> np.ndarray:
    """The rows of one section, bool [n], by a value of the column that tells sections apart, or by `COLUMN=VALUE`.

    All where it is a value that all spots have.
    """
    column, _, value = library.rpartition("=")
    columns = [(column, obs[column].astype(str))] if column in obs else list(_naming(obs))
    value = value if column in obs else library
    found = {column: (values == value).to_numpy() for column, values in columns if (values == value).any()}
    if not found:
        telling = [pair for pair in columns if pair[0] in USUAL_COLUMNS or pair[1].nunique() > 1]
        held = [f"{_listed(list(dict.fromkeys(values)))} by {_of(column)}" for column, values in telling[:3]]
        raise EfnstError(
            f"Expected the section {library} in {name}, found {', '.join(held) or 'no column that names sections'}: "
            "correct the column library."
        )
    usual = [column for column in USUAL_COLUMNS if column in found]
    chosen = found[usual[0]] if usual else next(iter(found.values()))
    if not usual and any((rows != chosen).any() for rows in found.values()):
        raise EfnstError(
            f"Expected one section {library} in {name}, found that {' and '.join(map(_of, found))} mean different "
            f"spots by it: give the column too, such as {next(iter(found))}={value}."
        )
    return chosen


def _naming(obs: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """Columns each of whose values has every place once, as text; last what stands around the barcodes' sequences."""
    keys = _places(obs)
    usual = [name for name in USUAL_COLUMNS if name in obs]
    columns = {name: obs[name] for name in [*usual, *(name for name in obs.columns if name not in (*usual, *NO_NAMES))]}
    for name, column in columns.items():
        if 0 < column.nunique() <= NAMES_OF_SECTIONS and _parts(values := column.astype(str), keys):
            yield str(name), values
    affixes = _barcodes(obs).str.replace(SEQUENCE, "", n=1, regex=True).str.strip("-_.")
    if 1 < affixes.nunique() <= NAMES_OF_SECTIONS and _parts(affixes, keys):
        yield BARCODES, affixes


def _parts(values: pd.Series, places: pd.Series) -> bool:
    """Whether no place occurs twice with the same value."""
    return not pd.DataFrame({"a": values.to_numpy(), "b": places.to_numpy()}).duplicated().any()


def _places(obs: pd.DataFrame) -> pd.Series:
    """What no two spots of one section have in common: row and column, or the sequence of the barcode."""
    if {"array_row", "array_col"} <= set(obs.columns):
        array = obs[["array_row", "array_col"]].apply(pd.to_numeric, errors="coerce")
        if np.isfinite(array.to_numpy(float)).all():
            return array["array_row"].astype("int64") * 2**32 + array["array_col"].astype("int64")
    sequence = _barcodes(obs).str.extract(f"({SEQUENCE})")[0]
    return sequence if not sequence.hasnans else pd.Series(range(len(obs)), obs.index)


def _barcodes(obs: pd.DataFrame) -> pd.Series:
    """The barcodes as text."""
    return pd.Series(obs.index, obs.index).astype(str)


def _of(column: str) -> str:
    """A column in words."""
    return column if column == BARCODES else f"the column {column}"


def _listed(names: list[str]) -> str:
    """The first of some names."""
    return ", ".join(map(str, names[:4])) + (", …" if len(names) > 4 else "")
