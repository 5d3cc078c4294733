"""Positions of spots, bins and cells as Space Ranger writes them, and the scale factors beside them."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd

from efnst.errors import EfnstError, damaged, reading
from efnst.inputs.feature_matrix import LONGEST_LINE, MAX_SPOTS, require_unique

POSITION_COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
SCALE_FACTORS = "scalefactors_json.json"
MAX_COLUMNS = 1000  # of a table of positions; other columns than ours are passed over
MAX_JSON_BYTES = 10_000_000
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
    """Read the scale factors; every number among them is finite and above 0."""
    with reading(path):
        n_bytes = path.stat().st_size
        content = json.loads(path.read_text(encoding="utf-8-sig")) if n_bytes <= MAX_JSON_BYTES else None
    if n_bytes > MAX_JSON_BYTES:
        raise damaged(path, f"{n_bytes} bytes are too many for scale factors")
    return checked_scales(content, path.name)


def checked_scales(content: object, name: str) -> dict[str, float]:
    """The numbers of an object of scale factors, which must be finite and above 0."""
    if not isinstance(content, dict):
        raise EfnstError(f"Expected a JSON object in {name}, found {type(content).__name__}: take the file again.")
    factors = {}
    for key, value in content.items():
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            continue
        if not 0 < value < 1e15:  # not np.isfinite, which whole numbers of hundreds of digits break
            raise EfnstError(f"Expected {key} above 0 in {name}, found {str(value)[:20]}: take the file again.")
        factors[key] = float(value)
    return factors


def scale_of(factors: dict[str, float], name: str) -> float:
    """One scale factor, which must be there."""
    if not factors:
        raise EfnstError(
            f"Expected {SCALE_FACTORS} with {name}, found none: copy it from the Space Ranger run, or give image: none "
            "to run on expression and position only."
        )
    if name not in factors:
        found = ", ".join(list(factors)[:8]) or "no numbers"
        raise EfnstError(f"Expected {name} in {SCALE_FACTORS}, found {found}: take the file from the run again.")
    return factors[name]


def _read_csv(path: Path) -> tuple[pd.DataFrame, bool]:
    """Positions of Visium and whether the file has a header.

    The names of the files do not tell: 1.x has no header, 2.x has one, and both occur under either name. So the first
    line decides, by a cell that says barcode. Without a header the order is that of `POSITION_COLUMNS`, row (y) before
    column (x).
    """
    with reading(path), path.open(newline="", encoding="utf-8-sig") as file:
        first = next(csv.reader([file.readline(LONGEST_LINE)]), [])
    has_header = "barcode" in [cell.strip().lower() for cell in first]
    if len(first) > MAX_COLUMNS or (not has_header and len(first) != len(POSITION_COLUMNS)):
        raise EfnstError(
            f"Expected {len(POSITION_COLUMNS)} columns ({', '.join(POSITION_COLUMNS)}) in {path.name}, "
            f"found {len(first)} in its first line: take the file from the Space Ranger run again."
        )
    with reading(path):
        table = pd.read_csv(
            path,
            header=0 if has_header else None,
            names=None if has_header else POSITION_COLUMNS,
            dtype=str,
            encoding="utf-8-sig",
            keep_default_na=False,
            skipinitialspace=True,
            index_col=False,
        )
    table.columns = [str(name).strip().lower() for name in table.columns]
    return _checked(table, path, first_line=2 if has_header else 1), has_header


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
            table = content.to_pandas()
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
    if not pd.api.types.is_string_dtype(table["barcode"]):
        raise damaged(path, f"barcodes of the type {table['barcode'].dtype}")
    barcodes = table["barcode"].str.strip().to_numpy(object)
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
    return numbers
