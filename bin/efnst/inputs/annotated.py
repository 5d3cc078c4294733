"""What .h5ad files and the tables of SpatialData have in common: where counts, genes, positions and features may be."""

import re
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, issparse

from efnst.errors import EfnstError
from efnst.inputs.barcodes import BIN_PLACE
from efnst.inputs.feature_matrix import EXPRESSION, Matrix, as_counts, filled, require_unique
from efnst.inputs.one_section import require_one_section
from efnst.inputs.positions import ARRAY_COLUMNS, NO_ARRAY, OTHER_NAMES, POSITION_COLUMNS, TRUTH, require_span
from efnst.inputs.source import PIXELS

LAYERS = ("counts", "raw_counts", "raw", "umi")  # names that raw counts are given, in the order they are looked for
SYMBOLS = ("gene_symbols", "gene_symbol", "feature_name", "gene_name", "symbol", "SYMBOL")
IDS = ("gene_ids", "gene_id", "ensembl_id", "feature_id")
TYPES = ("feature_types", "feature_type")
MIN_PLACED = 0.5  # share of spots with a position, below which obsm["spatial"] is taken to hold something else
FEATURE_TYPES = (EXPRESSION, "Antibody Capture", "CRISPR Guide Capture", "Multiplexing Capture", "Custom", "Peaks")


def choose_counts(samples: Mapping[str, Callable[[], np.ndarray]], name: str) -> str:
    """The first of the places that holds whole counts; `samples` gives some values of each place."""
    seen, empty = [], []
    for place, sample in samples.items():
        values = np.asarray(sample())
        is_number = values.dtype.kind in "fiub"
        if is_number and np.isfinite(values).all() and (values >= 0).all() and (values == np.rint(values)).all():
            if values.any():
                return place
            empty.append(place)  # a sample without a count says nothing
            continue
        wrong = (
            f"{value:.4g}" if is_number else str(value) for value in values if not is_number or not _is_whole(value)
        )
        seen.append(f"{place} (with {next(wrong, 'no numbers')})")
    if empty:
        return empty[0]
    raise EfnstError(
        f"Expected raw counts in {name}, found values that are none in {', '.join(seen) or 'no matrix'}: "
        "put the raw counts into X, a layer named counts, or .raw."
    )


def _is_whole(value: float) -> bool:
    """Whether a number is a count."""
    return bool(np.isfinite(value) and value >= 0 and value == np.rint(value))


def sound(matrix: object, name: str) -> object:
    """A matrix, refused where it is sparse and names rows or columns that it does not have: SciPy reads beyond it."""
    if issparse(matrix):
        try:
            matrix.check_format(full_check=True)
        except ValueError as error:
            raise EfnstError(f"Expected a sound matrix in {name}, found that {error}: write the file again.") from error
    return matrix


def taken(values: np.ndarray | csr_matrix, rows: np.ndarray | None, name: str) -> np.ndarray | csr_matrix:
    """The rows of one section, bool [n], of what has a row for each spot of the file; all where `rows` is None."""
    if rows is None:
        return values
    if not values.ndim or values.shape[0] != len(rows):
        raise EfnstError(f"Expected a row for each of {len(rows)} spots in {name}, found {values.shape}.")
    return values[rows]


def matrix_of(counts: csr_matrix, obs: pd.DataFrame, var: pd.DataFrame, name: str) -> Matrix:
    """Counts of the genes, with barcodes, gene ids and symbols, of what is annotated by `obs` and `var`."""
    if counts.shape != (len(obs), len(var)):
        raise EfnstError(
            f"Expected counts for {len(obs)} × {len(var)} spots and genes in {name}, found {counts.shape}."
        )
    barcodes = obs.index.to_numpy(str).astype(object)
    require_unique(barcodes, name)
    types = _column(var, TYPES)
    is_known = types is not None and np.isin(types, FEATURE_TYPES).any()  # CELLxGENE has biotypes there
    is_gene = np.asarray(types == EXPRESSION) if is_known else np.ones(len(var), bool)
    if not is_gene.any():
        raise EfnstError(
            f"Expected features of type {EXPRESSION} in {name}, found {', '.join(sorted(set(types))[:8])}."
        )
    index = var.index.to_numpy(str).astype(object)
    symbols, ids = _column(var, SYMBOLS), _column(var, IDS)
    symbols, ids = (index if column is None else column for column in (symbols, ids))
    ids, symbols = filled(ids, symbols, index), filled(symbols, ids, index)
    return Matrix(barcodes, ids[is_gene], symbols[is_gene], as_counts(counts[:, is_gene], name))


def with_array(obs: pd.DataFrame) -> pd.DataFrame:
    """`obs` with the rows and columns that the barcodes of bins say, where it has none of its own."""
    if is_on_array(obs) or not re.search(BIN_PLACE, str(next(iter(obs.index), ""))):
        return obs
    places = obs.index.astype(str).str.extract(BIN_PLACE)
    if places.isna().any(axis=None):
        return obs
    return obs.assign(**dict(zip(ARRAY_COLUMNS, places.to_numpy(int).T, strict=True)))


def positions_of(obs: pd.DataFrame, xy: np.ndarray | pd.DataFrame, name: str) -> pd.DataFrame:
    """Positions by barcode from float [n, 2] x and y; array and tissue as `obs` has them, else none, in tissue.

    Numbers may stand there as text, as squidpy of old read them. Spots without have no position here.
    """
    xy = np.asarray(_x_first(xy) if isinstance(xy, pd.DataFrame) else xy)
    if xy.dtype.kind in "OUT" and xy.ndim == 2:
        xy = pd.DataFrame(xy).apply(pd.to_numeric, errors="coerce").to_numpy(float)
    if xy.ndim != 2 or xy.shape[1] < 2 or xy.dtype.kind not in "fiu" or len(xy) != len(obs):
        raise EfnstError(
            f"Expected x and y of {len(obs)} spots in {name}, obsm['spatial'], found an array of {xy.shape} {xy.dtype}."
        )
    xy = xy[:, :2].astype(float)
    has_place = np.isfinite(xy).all(axis=1)
    if has_place.sum() < MIN_PLACED * len(obs):
        wrong = int((~has_place).sum())
        raise EfnstError(f"Expected numbers in {name}, obsm['spatial'], found {wrong} spots without: leave them out.")
    obs, xy = obs[has_place], xy[has_place]
    table = pd.DataFrame(index=pd.Index(obs.index.to_numpy(str), name="barcode"))
    table["in_tissue"] = _whole(obs, "in_tissue", 1)
    other = table.loc[~table["in_tissue"].isin((0, 1)), "in_tissue"]
    if len(other):
        raise EfnstError(
            f"Expected 0 or 1 in the column in_tissue of obs in {name}, found {other.iloc[0]} ({len(other)} such "
            "spots): correct or remove it."
        )
    for column in ARRAY_COLUMNS:
        table[column] = _whole(obs, column, NO_ARRAY) if is_on_array(obs) else NO_ARRAY
    require_one_section(obs if is_on_array(obs) else obs.drop(columns=ARRAY_COLUMNS, errors="ignore"), name)
    require_span(table, f"obs of {name}")
    table["pxl_row_in_fullres"], table["pxl_col_in_fullres"] = xy[:, 1], xy[:, 0]
    return table[POSITION_COLUMNS[1:]]


def _x_first(xy: pd.DataFrame) -> pd.DataFrame:
    """Positions with x before y, by the names of their columns as far as these say it."""
    names = [OTHER_NAMES.get(lower := str(name).lower(), lower) for name in xy.columns]
    named = next((pair for pair in (PIXELS, ["x", "y"]) if all(names.count(name) == 1 for name in pair)), names)
    return xy.iloc[:, [names.index(name) for name in named]] if named is not names else xy


def is_on_array(obs: pd.DataFrame) -> bool:
    """Whether the places of the spots on the array are known."""
    return all(column in obs for column in ARRAY_COLUMNS) and not _is_of_cells(obs)


def _is_of_cells(obs: pd.DataFrame) -> bool:
    """Whether array_row and array_col are means over several places, as of bin2cell, or none, as we write them."""
    values = obs[ARRAY_COLUMNS].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    return bool(np.isfinite(values).all() and ((values != np.rint(values)).any() or (values == NO_ARRAY).all()))


def features_of(obsm: Mapping[str, object], name: str, n_spots: int) -> np.ndarray:
    """Features that were computed before, float32 [n_spots, ·], by their name in `obsm`."""
    if name not in obsm:
        found = ", ".join(list(obsm)[:8]) or "nothing"
        raise EfnstError(f"Expected the features {name} in obsm, found {found}: correct expression_rep.")
    features = obsm[name]
    features = np.asarray(features.todense() if hasattr(features, "todense") else features)
    if features.ndim != 2 or len(features) != n_spots or features.dtype.kind not in "fiu" or not features.shape[1]:
        raise EfnstError(
            f"Expected one row of numbers for each of {n_spots} spots in obsm[{name!r}], found an array of "
            f"{features.shape} {features.dtype}: correct expression_rep."
        )
    if not np.isfinite(features).all():
        raise EfnstError(f"Expected numbers in obsm[{name!r}], found NaN or infinity: compute these features again.")
    return features.astype(np.float32)


def _column(table: pd.DataFrame, names: tuple[str, ...]) -> np.ndarray | None:
    """The first of the columns that is there, as text."""
    for name in names:
        if name in table:
            return table[name].astype(str).to_numpy(object)
    return None


def _whole(obs: pd.DataFrame, name: str, absent: int) -> np.ndarray:
    """A column of whole numbers, `absent` everywhere where there is none."""
    if name not in obs:
        return np.full(len(obs), absent)
    values = pd.to_numeric(obs[name].astype(str).str.lower().replace(TRUTH), errors="coerce").to_numpy(float)
    is_whole = np.isfinite(values) & (np.abs(values) <= np.iinfo(np.int32).max) & (values == np.rint(values))
    if not is_whole.all():
        raise EfnstError(f"Expected whole numbers in the column {name} of obs, found others: correct or remove it.")
    return values.astype(np.int64)
