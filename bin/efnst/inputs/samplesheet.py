"""The samplesheet: one row per section, read from CSV, TSV or YAML, with every problem of every row found at once."""

import csv
import io
import os
import posixpath
import re
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from efnst.errors import EfnstError, require_ordinary
from efnst.inputs.above_table import above_table
from efnst.inputs.addresses import was_cut, without_secrets
from efnst.inputs.covariates import (
    column_name_problems,
    covariate_columns,
    covariate_problems,
    with_decimal_points,
)
from efnst.inputs.missing import is_missing
from efnst.names import NO_IMAGE
from efnst.program.documents import load_yaml, text_of
from efnst.program.parameters import coerce, errors_by_name, expectation, found_and_expected, show

URI = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)(.*)$", re.DOTALL)
PATH_FORMATS = ("file-path", "directory-path")
# Nextflow's own scripts would act on these, or lose them; it escapes all else, `$(…)` included.
UNSTAGED = re.compile(r"[*?\[\]{}\x00-\x1f\x7f-\x9f]|\$[\w$@#-]")


@dataclass(frozen=True)
class Row:
    """One row: `place` says where it stands in the file, `cells` holds what is not empty, by column."""

    place: str
    cells: dict[str, str]


@dataclass(frozen=True)
class Samplesheet:
    """The rows of a samplesheet, its columns, and what was wrong with its form.

    `has_decimal_commas`: whether a comma is that of a number, as it is where semicolons separate values.
    """

    columns: list[str]
    rows: list[Row]
    problems: list[str]
    has_decimal_commas: bool = False


def read_samplesheet(path: Path) -> Samplesheet:
    """Read CSV, TSV or YAML; raises EfnstError where the file cannot be read as any table."""
    require_ordinary(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EfnstError(f"Expected a samplesheet, found no readable file ({error}): check --input.") from error
    text = without_secrets(text_of(content, "the samplesheet", "CSV UTF-8"))
    if path.suffix.lower() in (".yaml", ".yml"):
        return _from_yaml(text)
    return _from_table(text)


def sections(sheet: Samplesheet, schema: dict, parameters: dict, base: str) -> tuple[list[dict], list[str]]:
    """The sections of a samplesheet, and one line for every problem; with problems the sections are not to be used.

    `parameters` are coerced and have their defaults; `base` is the folder or URI that relative paths start from.
    """
    about = schema["items"]["properties"]
    problems = sheet.problems + _column_problems(sheet, about, schema["items"]["required"])
    further = covariate_columns(sheet.columns, list(about))
    cells = [row.cells for row in sheet.rows]
    cells = with_decimal_points(cells, further) if sheet.has_decimal_commas else cells
    rows = [
        Row(row.place, coerce(_given(of_row, schema["items"]), about))
        for row, of_row in zip(sheet.rows, cells, strict=True)
    ]
    absent = {name for name in schema["items"]["required"] if name not in sheet.columns}
    problems += [line for row in rows for line in _row_problems(row, schema["items"], absent)]
    problems += _repeated_samples(rows) + _groups_like_samples(rows, parameters)
    if problems:
        return [], problems
    n_domains = _number_without_own(rows, parameters)
    return [_section({"n_domains": n_domains} | row.cells, about, parameters, base, further) for row in rows], []


def absolute_base(base: str) -> str:
    """`base` as an absolute path, or the URI it is."""
    return base if URI.match(base) else os.path.abspath(base)


def join(base: str, value: str) -> str:
    """`value` as it is if it is a URI or an absolute path, otherwise joined as text onto `base`, a folder or a URI."""
    if URI.match(value):
        return value
    if value.startswith("/"):
        return posixpath.normpath(value)
    uri = URI.match(base)
    scheme, folder = uri.groups() if uri else ("", base)
    return scheme + posixpath.normpath(posixpath.join(folder, value))


def _from_table(text: str) -> Samplesheet:
    """A table whose first row that is not empty names the columns, separated by `,`, `;` or tab."""
    lines = list(io.StringIO(text, newline=None))
    above, named = above_table(lines)
    delimiter = named or max(",\t;", key=[*lines[above:], ""][0].count)
    reader = csv.reader(lines[above:], delimiter=delimiter, skipinitialspace=delimiter != "\t")
    columns, rows, problems = [], [], []
    try:
        for fields in reader:
            cells = [field.strip() for field in fields]
            if not any(cells):
                continue
            if not columns:
                columns = [cell.lower() for cell in cells]
                continue
            place = f"row {above + reader.line_num}"
            problems += _too_many(place, cells, columns)
            rows.append(Row(place, {name: cell for name, cell in zip(columns, cells, strict=False) if cell}))
    except csv.Error as error:
        problems.append(f"row {above + reader.line_num}: found {error}, expected values separated by {delimiter!r}")
    return replace(_checked_form(columns, rows, problems), has_decimal_commas=delimiter == ";")


def _too_many(place: str, cells: list[str], columns: list[str]) -> list[str]:
    """The problem of a row with more values than there are columns."""
    if not any(cells[len(columns) :]):
        return []
    return [
        f"{place}: found {len(cells)} values, expected {len(columns)} as in the first row; "
        "put quotes around a value that holds the separator"
    ]


def _from_yaml(text: str) -> Samplesheet:
    """A YAML list with one mapping per section; all values stay text, as in a table."""
    try:
        entries = load_yaml(text, yaml.BaseLoader) or []
    except yaml.YAMLError as error:
        message = " ".join(str(error).split())
        raise EfnstError(f"Expected YAML in the samplesheet, found {message}: correct that line.") from error
    if not isinstance(entries, list):
        raise EfnstError(f"Expected a YAML list of sections (`- sample: …`), found {show(entries)}: add the dashes.")
    columns, rows, problems = [], [], []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or any(not isinstance(value, str) for value in entry.values()):
            problems.append(f"entry {number}: found {show(entry)}, expected `column: value` lines; correct the entry")
            continue
        cells = {str(name).strip().lower(): value.strip() for name, value in entry.items()}
        if len(cells) < len(entry):
            problems.append(f"entry {number}: found a column twice among {', '.join(entry)}; name each once")
        columns += [name for name in cells if name not in columns]
        given = {name: value for name, value in cells.items() if value.lower() not in ("", "~", "null")}
        rows.append(Row(f"entry {number}", given))
    return _checked_form(columns, rows, problems)


def _checked_form(columns: list[str], rows: list[Row], problems: list[str]) -> Samplesheet:
    """The samplesheet, with problems of its form added: no rows, columns named twice or not at all."""
    named = [name for name in columns if name]
    wrong = [
        f"column {name}: named {named.count(name)} times, expected once; remove one"
        for name in sorted(set(named))
        if named.count(name) > 1
    ]
    wrong += [
        f"{row.place}: found {show(row.cells[''])} in a column without a name, expected a name; give it one"
        for row in rows
        if "" in row.cells
    ]
    wrong += problems
    if not rows and not wrong:
        wrong = ["found no rows, expected one row per section below the column names; add them"]
    return Samplesheet(named, [Row(row.place, {k: v for k, v in row.cells.items() if k}) for row in rows], wrong)


def _given(cells: dict[str, str], schema: dict) -> dict[str, str]:
    """Cells without those of our optional columns that stand for no value, and bins of 8.0 µm as 8, as pandas writes.

    None is Python's for no value, and for an image what a user writes who wants none.
    """
    optional = set(schema["properties"]) - set(schema["required"])
    kept = {
        name: value
        for name, value in cells.items()
        if name not in optional or not is_missing(value) or (name == "image" and value.lower() == NO_IMAGE)
    }
    if "bin_um" in kept:
        kept["bin_um"] = re.sub(r"\.0+$", "", kept["bin_um"])
    return kept


def _column_problems(sheet: Samplesheet, about: dict, required: list[str]) -> list[str]:
    """Columns that are misspelt or missing, once for the whole samplesheet."""
    problems = column_name_problems(sheet.columns, list(about))
    if sheet.rows:
        missing = [name for name in required if name not in sheet.columns]
        problems += [f"column {name}: missing, expected in every samplesheet; add it" for name in missing]
    return problems


def _row_problems(row: Row, schema: dict, absent: set[str]) -> list[str]:
    """Problems of one row; columns in `absent` have been reported for the whole samplesheet."""
    where = f"{row.place} ({row.cells['sample']})" if "sample" in row.cells else row.place
    about = schema["properties"]
    problems = [
        f"{where}, column {name}: empty, {expectation(about[name])}"
        for name in schema["required"]
        if name not in row.cells and name not in absent
    ]
    wrong = errors_by_name(row.cells, {"properties": about})
    for name, errors in wrong.items():
        problems.append(f"{where}, column {name}: {found_and_expected(row.cells[name], about[name], errors)}")
    return problems + covariate_problems(where, row.cells, [name for name in about if name != "group"])


def _unusable(value: str, base: str) -> list[str]:
    """What keeps the file at `value`, a path that may start from `base`, from being brought to a task."""
    if was_cut(value):
        return [
            f"found {show(value)}, expected an address without password and query, which were cut out here and would "
            "stand in logs: fetch the file, or let Nextflow have the password (its configuration or environment)"
        ]
    if value.startswith("~"):
        return [f"found {show(value)}, expected a path without ~; write it in full"]
    if UNSTAGED.search(join(base, value)):
        return [f"found {show(join(base, value))}, expected a path without *?[]{{}}, $NAME and line breaks; rename it"]
    return []


def _repeated_samples(rows: list[Row]) -> list[str]:
    """Sample names that stand in more than one row. Case is ignored: some file systems do not tell `A1` from `a1`."""
    places = {}
    for row in rows:
        if "sample" in row.cells:
            places.setdefault(row.cells["sample"].lower(), []).append(row)
    return [
        f"{' and '.join(row.place for row in same)}, column sample: found "
        f"{' and '.join(dict.fromkeys(show(row.cells['sample']) for row in same))} in {len(same)} rows, "
        "expected a name of its own for every section (upper and lower case count as the same); rename them"
        for same in places.values()
        if len(same) > 1
    ]


def _groups_like_samples(rows: list[Row], parameters: dict) -> list[str]:
    """Groups of a cohort that are named like a sample without one, which is corrected as a group of its name."""
    if (parameters.get("scope"), parameters.get("correct_by")) != ("cohort", "group"):
        return []
    alone = {row.cells["sample"]: row.place for row in rows if "sample" in row.cells and "group" not in row.cells}
    return [
        f"{row.place} ({row.cells.get('sample', '')}), column group: found {show(group)}, which is the sample without "
        f"one in {alone[group]}, expected a name of its own, as both would be corrected as one; rename one of them"
        for row in rows
        if (group := row.cells.get("group")) in alone
    ]


def _number_without_own(rows: list[Row], parameters: dict) -> int | None:
    """Number of domains of a section that has none of its own: in a cohort the largest of the others'."""
    own = [row.cells["n_domains"] for row in rows if "n_domains" in row.cells]
    return max(own) if own and parameters.get("scope") == "cohort" else parameters.get("n_domains")


def _section(cells: dict, about: dict, parameters: dict, base: str, further: list[str]) -> dict:
    """One member of sections.json; `further` are the columns that are covariates."""
    paths = {
        name: join(base, cells[name]) if name in cells else ""
        for name, column in about.items()
        if column.get("format") in PATH_FORMATS
    }
    if cells.get("image", "").lower() == NO_IMAGE or parameters.get("use_image") is False:
        paths["image"] = NO_IMAGE
    given = {name: cells.get(name, "") for name in ("bin_um", "library")}
    # An ü of macOS is a u and a ¨, and would make a group of its own.
    named = {name: unicodedata.normalize("NFC", cells.get(name, "")) for name in ("group", *further)}
    given |= {"group": named.pop("group"), "covariates": named}
    wrong = [f"column {name}: {problem}" for name in paths if name in cells for problem in _unusable(cells[name], base)]
    return {"id": cells["sample"]} | paths | {"n_domains": cells["n_domains"], "problem": "; ".join(wrong)} | given
