"""Positions of spots, bins and cells as Space Ranger writes them, and the scale factors beside them."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from efnst.errors import EfnstError, damaged, reading
from efnst.inputs.above_table import above_table
from efnst.inputs.feature_matrix import LONGEST_LINE, MAX_SPOTS, require_unique

POSITION_COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
SCALE_FACTORS = "scalefactors_json.json"
USED_FACTORS = ("tissue_hires_scalef", "tissue_lowres_scalef", "spot_diameter_fullres", "microns_per_pixel")
OTHER_NAMES = {  # of Seurat
    **{"barcodes": "barcode", "tissue": "in_tissue", "row": "array_row", "col": "array_col"},
    **{"imagerow": "pxl_row_in_fullres", "imagecol": "pxl_col_in_fullres"},
}
TRUTH = {"true": "1", "false": "0"}
UTF16 = (b"\xff\xfe", b"\xfe\xff")
ARRAY_COLUMNS = ["array_row", "array_col"]
MAX_PLACES = 100_000_000  # of an array; one of bins of 2 µm has 11 million on 6.5 mm, 30 million on 11 mm
MAX_COLUMNS = 1000  # of a table of positions; other columns than ours are passed over
MAX_JSON_BYTES = 10_000_000
NUMBER = re.compile(r"\s*[0-9]{1,20}(\.[0-9]{0,40})?([eE][-+]?[0-9]{1,2})?\s*")
NO_ARRAY = -1  # array_row and array_col of what lies on no array


def read_positions(path: Path) -> tuple[pd.DataFrame, str]:
    """Read the positions of all spots, with barcodes as index, and how they were stored, in words.

    Columns: those of `POSITION_COLUMNS` after the barcode. CSV of Visium, parquet of Visium HD, GeoJSON of cells.
    """
    if path.suffix == ".parquet":
        return _read_parquet(path), "as parquet"
    if path.suffix == ".geojson":
        return _read_cells(path), "with outlines of cells"
    table, has_header = _read_csv(path)
    return table, f"{'with' if has_header else 'without'} header"


def read_scales(path: Path) -> dict[str, float]:
    """Read the scale factors; see `checked_scales`."""
    with reading(path):
        n_bytes = path.stat().st_size
        content = json.loads(path.read_bytes()) if n_bytes <= MAX_JSON_BYTES else None
    if n_bytes > MAX_JSON_BYTES:
        raise damaged(path, f"{n_bytes} bytes are too many for scale factors")
    return checked_scales(content, path.name)


def checked_scales(content: object, name: str) -> dict[str, float]:
    """The numbers of an object of scale factors that are finite and above 0, as those that are used must be."""
    if not isinstance(content, dict):
        raise EfnstError(f"Expected a JSON object in {name}, found {type(content).__name__}: take the file again.")
    factors = {}
    for key, value in content.items():
        value = _number(value)
        if value is None:
            continue
        if 0 < value < 1e15:  # not np.isfinite, which whole numbers of hundreds of digits break
            factors[key] = float(value)
        elif key in USED_FACTORS:
            raise EfnstError(f"Expected {key} above 0 in {name}, found {str(value)[:20]}: take the file again.")
    return factors


def _number(value: object) -> int | float | np.number | None:
    """A number, also one in quotes or, as R writes it, in a list of its own; None for anything else."""
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return float(value)
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return value if is_number else None


def scale_of(factors: dict[str, float], name: str, place: str = SCALE_FACTORS) -> float:
    """One scale factor, which must be there; `place`: where it should stand."""
    is_file = place == SCALE_FACTORS
    if not factors:
        how = "copy it from the Space Ranger run" if is_file else "add it"
        or_none = ", or give image: none to run on expression and position only" if name.startswith("tissue_") else ""
        raise EfnstError(f"Expected {place} with {name}, found none: {how}{or_none}.")
    if name not in factors:
        found, how = ", ".join(list(factors)[:8]), "take the file from the run again" if is_file else "add it"
        raise EfnstError(f"Expected {name} in {place}, found {found}: {how}.")
    return factors[name]


def _read_csv(path: Path) -> tuple[pd.DataFrame, bool]:
    """Positions of Visium and whether the file has a header.

    The names of the files do not tell: 1.x has no header, 2.x has one, and both occur under either name. So the first
    line decides, by a cell that is one of our names. Without a header the order is that of `POSITION_COLUMNS`, row (y)
    before column (x). Spreadsheets write other separators, R names of rows.
    """
    first, second, separator, above = _first_lines(path)
    names = _names_of(first, len(second))
    with reading(path):
        table = pd.read_csv(
            path,
            sep=separator,
            header=None,
            skiprows=above + (names is not None),
            names=_unnamed(first, path) if names is None else names,
            dtype=str,
            encoding="utf-8-sig",
            keep_default_na=False,
            skipinitialspace=True,
            index_col=False,
        )
    if separator == ";":
        table = table.apply(lambda column: column.str.replace(",", "."))
    return _checked(table, path, first_line=above + (1 if names is None else 2)), names is not None


def _first_lines(path: Path) -> tuple[list[str], list[str], str, int]:
    """The cells of the first two lines, what separates them, and how many lines stand above."""
    with reading(path), path.open("rb") as file:
        if file.read(2) in UTF16:
            raise EfnstError(f"Expected UTF-8 text in {path.name}, found UTF-16: save it as CSV UTF-8.")
    with reading(path), path.open(newline="", encoding="utf-8-sig") as file:
        above, named = above_table(iter(lambda: file.readline(LONGEST_LINE), ""))
        file.seek(0)
        lines = [file.readline(LONGEST_LINE) for _ in range(above + 2)][above:]
        separator = named or max(",\t;", key=lines[0].count)
        first, second = (next(csv.reader([line], delimiter=separator), []) for line in lines)
    if len(first) > MAX_COLUMNS:
        raise damaged(path, f"its first line has {len(first)} values")
    return first, second, separator, above


def _names_of(first: list[str], n_values: int) -> list[str] | None:
    """The names of the columns where the first line holds them, else None; `n_values`: cells of the next line.

    A column without a name, or before the first name, holds the names of the rows, which may be the barcodes.
    """
    names = [OTHER_NAMES.get(name := cell.strip().lower(), name) for cell in first]
    if not {"barcode", "in_tissue"} & set(names):
        return None
    names = [""] * (n_values == len(names) + 1) + names
    if "barcode" not in names and names[0] == "":
        names[0] = "barcode"
    return [
        name if names.count(name) == 1 and name else f"{name} in column {place}" for place, name in enumerate(names)
    ]


def _unnamed(first: list[str], path: Path) -> list[str]:
    """The columns of a file without a header: one more holds names of rows where the barcode clearly comes after it."""
    n_more = len(first) - len(POSITION_COLUMNS)
    has_rows = n_more == 1 and not _is_number(first[1]) and all(map(_is_number, first[2:]))
    if n_more and not has_rows:
        raise EfnstError(
            f"Expected {len(POSITION_COLUMNS)} columns ({', '.join(POSITION_COLUMNS)}) in {path.name}, "
            f"found {len(first)} in its first line: take the file from the Space Ranger run again."
        )
    return ["row"] * n_more + POSITION_COLUMNS


def _is_number(cell: str) -> bool:
    """Whether a cell holds a number or a truth value, as all columns but the barcode do."""
    value = cell.strip().lower().replace(",", ".", 1)
    return value in TRUTH or NUMBER.fullmatch(value.removeprefix("-")) is not None


def _read_parquet(path: Path) -> pd.DataFrame:
    """Positions of Visium HD."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    with reading(path, ArrowException):
        file = ParquetFile(path)
        n_rows, held = file.metadata.num_rows, file.schema_arrow.names
    with file:
        if n_rows > MAX_SPOTS:
            raise damaged(path, f"it claims {n_rows} rows")
        known = [name for name in POSITION_COLUMNS if name in held]
        with reading(path, ArrowException):
            content = file.read(columns=known)
            content.validate(full=True)  # pandas looks at text only when it is used
            table = content.to_pandas(ignore_metadata=True)  # by pandas the barcode may be its index
    return _checked(table, path, first_line=1)


def _read_cells(path: Path) -> pd.DataFrame:
    """Centres of cells from the outlines of Space Ranger 4, as if they were spots in tissue that lie on no array."""
    with reading(path):
        content = json.loads(path.read_bytes())
    cells = [_cell(outline, path) for outline in _member(content, "features", list, path)]
    ids, centres = [number for number, _ in cells], np.array([_centre(rings) for _, rings in cells]).reshape(-1, 2)
    columns = {
        "barcode": [f"cellid_{number:09d}-1" for number in ids],
        **{"in_tissue": 1, "array_row": NO_ARRAY, "array_col": NO_ARRAY},
        **{"pxl_row_in_fullres": centres[:, 1], "pxl_col_in_fullres": centres[:, 0]},
    }
    return _checked(pd.DataFrame(columns), path, first_line=1)


def _member(content: object, name: str, kind: type, path: Path) -> object:
    """A member of a JSON object, which must be there and of this kind."""
    value = content.get(name) if isinstance(content, dict) else None
    if not isinstance(value, kind):
        raise damaged(path, f"where {name} should stand, it has {str(value)[:80]}")
    return value


def _cell(outline: object, path: Path) -> tuple[int, list[np.ndarray]]:
    """Number and outer rings, each float64 [n_corners, 2], of a cell."""
    number = _member(_member(outline, "properties", dict, path), "cell_id", int | str, path)
    geometry = _member(outline, "geometry", dict, path)
    parts = _member(geometry, "coordinates", list, path)
    polygons = [parts] if geometry.get("type") == "Polygon" else parts
    if not polygons or not all(isinstance(polygon, list) and polygon for polygon in polygons):
        raise damaged(path, f"a cell has the outline {str(parts)[:80]}")
    with reading(path, TypeError):  # numbers from JSON that need not be any
        rings = [np.asarray(polygon[0], float) for polygon in polygons]
        number = int(number)
    if any(ring.ndim != 2 or not len(ring) or ring.shape[1] < 2 for ring in rings):
        raise damaged(path, f"a cell has the outline {str(parts)[:80]}")
    return number, [ring[:, :2] for ring in rings]


def _centre(rings: list[np.ndarray]) -> np.ndarray:
    """Centre of mass, x and y, of the largest of the rings."""
    return max(map(_mass, rings), key=lambda mass: mass[0])[1]


def _mass(ring: np.ndarray) -> tuple[float, np.ndarray]:
    """Area and centre of mass of a closed ring, float64 [n_corners, 2]; a ring without area has its mean as centre."""
    from_first = ring - ring[0]  # coordinates of slides are large beside a cell
    following = np.roll(from_first, -1, axis=0)
    cross = from_first[:, 0] * following[:, 1] - following[:, 0] * from_first[:, 1]
    if not cross.sum():
        return 0.0, ring.mean(axis=0)
    return abs(cross.sum()) / 2, ring[0] + ((from_first + following) * cross[:, None]).sum(axis=0) / (3 * cross.sum())


def _checked(table: pd.DataFrame, path: Path, first_line: int) -> pd.DataFrame:
    """The numbers of the positions by barcode, refused where they are none; `in_tissue` is 0 or 1."""
    missing = [name for name in POSITION_COLUMNS if name not in table.columns]
    if missing:
        found = ", ".join(map(str, table.columns[:8]))
        raise EfnstError(f"Expected the column {missing[0]} in {path.name}, found {found}.")
    if table.empty:
        raise EfnstError(
            f"Expected positions in {path.name}, found none: take the file from the Space Ranger run again."
        )
    if isinstance(table["barcode"].dtype, pd.CategoricalDtype):
        table["barcode"] = table["barcode"].astype(table["barcode"].cat.categories.dtype)
    if not pd.api.types.is_string_dtype(table["barcode"]):
        raise EfnstError(
            f"Expected barcodes as text in {path.name}, found values of the type {table['barcode'].dtype}: take the "
            "file from the Space Ranger run again."
        )
    barcodes = table["barcode"].str.strip().to_numpy(object)
    if not pd.api.types.is_numeric_dtype(table["in_tissue"]):
        table["in_tissue"] = table["in_tissue"].astype(str).str.strip().str.lower().replace(TRUTH)
    numbers = table[POSITION_COLUMNS[1:]].apply(pd.to_numeric, errors="coerce")
    wrong = ~np.isfinite(numbers.to_numpy(float, na_value=np.nan))
    require_unique(barcodes, path.name)
    if wrong.any():
        row, column = (int(index) for index in np.argwhere(wrong)[0])
        raise EfnstError(
            f"Expected a number in line {row + first_line} of {path.name}, column {numbers.columns[column]}, "
            f"found {str(table[numbers.columns[column]].iloc[row])[:40]!r} ({wrong.any(axis=1).sum()} such lines): "
            "take the file from the Space Ranger run again."
        )
    other = numbers.loc[~numbers["in_tissue"].isin((0, 1)), "in_tissue"]
    if len(other):
        raise EfnstError(
            f"Expected 0 or 1 in the column in_tissue of {path.name}, found {other.iloc[0]:g} "
            f"({len(other)} such lines): the columns may be in another order; "
            "take the file from the Space Ranger run again."
        )
    if (numbers.abs() > np.iinfo(np.int32).max).any(axis=None):
        raise EfnstError(f"Expected places on a slide in {path.name}, found numbers above 2^31: take the file again.")
    numbers.index = pd.Index(barcodes, name="barcode")
    require_span(numbers, path.name)
    return numbers


def require_span(positions: pd.DataFrame, name: str) -> None:
    """Refuse positions by barcode whose array is larger than that of a slide, as one wrong number makes it."""
    array = positions[ARRAY_COLUMNS].to_numpy(float)
    if np.prod(np.ptp(array, axis=0) + 1) <= MAX_PLACES:
        return
    farthest = int(np.abs(array - np.median(array, axis=0)).sum(axis=1).argmax())
    row, column = array[farthest]
    raise EfnstError(
        f"Expected array_row and array_col of a slide in {name}, found {row:.0f} and {column:.0f} at the barcode "
        f"{str(positions.index[farthest])[:40]}: correct them."
    )
