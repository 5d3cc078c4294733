"""Labels that the user gives for the spots of a section."""

import csv
import io
import re
from pathlib import Path

import pandas as pd

from efnst.errors import EfnstError, damaged, reading
from efnst.inputs.above_table import above_table
from efnst.inputs.affixes import SEQUENCE, with_names_of
from efnst.inputs.missing import is_missing
from efnst.inputs.one_line import EXPECTED, is_one_line
from efnst.program.documents import text_of
from efnst.program.parameters import show

LONGEST_HEADER = 100_000  # characters; metadata of a section have a few dozen columns
ROW_NAMES = ""  # a column without a name, as R and pandas write the names of rows
BARCODE = re.compile(rf"({SEQUENCE})(-\d+)?|\d+x\d+")  # the last of legacy arrays
TOO_MANY = 0.5  # labels for each labelled spot above which they are names or measurements


def read_labels(path: Path) -> pd.Series:
    """Labels by barcode from a table with the columns barcode and label; what `is_missing` is None.

    As R and pandas write it: also with names of rows, for which the first line may lack a name, and without any first
    line of names where the first cell is a barcode.
    """
    if not path.is_file():
        raise EfnstError(f"Expected a CSV of labels, found no file {path}: check the column labels.")
    names, lines = _table(path)
    barcode, label = _columns(names, path)
    values = [(line[barcode], line[label]) for line in lines]
    for spot, value in values:
        wrong = [cell for cell in (spot, value) if not is_one_line(cell)]
        if wrong:
            raise EfnstError(
                f"Expected barcodes and labels in {path.name} to be {EXPECTED} each, found {show(wrong[0])} in the "
                f"line of {show(spot)}: shorten it, or look for a quote there that is not closed."
            )
    labels = pd.Series(
        [None if is_missing(value) else value for _, value in values],
        [spot for spot, _ in values],
        dtype=object,
    )
    repeated = labels.index[labels.index.duplicated()]
    if len(repeated):
        raise EfnstError(
            f"Expected every barcode once in {path.name}, found {repeated[0]} more than once "
            f"({len(repeated.unique())} barcodes are repeated): keep one line for each."
        )
    return labels


def match_labels(barcodes: pd.Index, labels: pd.Series) -> tuple[pd.Categorical, list[str]]:
    """Labels in the order of `barcodes`, missing where there is none, and warnings about barcodes that do not match.

    Empty labels throughout, as an annotator leaves them who did not come to this section, are a warning. Raises
    EfnstError where no barcode matches.
    """
    labels, warnings = with_names_of(barcodes, labels, "labels")
    given = labels.dropna()
    n_known = int(given.index.isin(barcodes).sum())
    if len(labels) and not labels.index.isin(barcodes).any():
        raise EfnstError(
            f"Expected labels for the spots of the section, found {len(labels)} labels and none for any of its "
            f"{len(barcodes)} spots (first spot {barcodes[0]}, first label for {labels.index[0]}): "
            "give the labels of this section, with the barcodes as they are in the matrix."
        )
    if n_known < len(given):
        warnings.append(f"{len(given) - n_known} of {len(given)} labels are for barcodes that are not spots in tissue.")
    n_absent = int((~barcodes.isin(labels.index)).sum())
    if n_absent:
        warnings.append(f"{n_absent} of {len(barcodes)} spots do not stand in the file of labels.")
    if not n_known:
        warnings.append(f"None of {len(barcodes)} spots has a label in the file of labels: the section goes without.")
    return pd.Categorical(given.reindex(barcodes)), warnings


def unscored(labels: pd.Categorical) -> list[str]:
    """A warning where the labels that there are divide the spots into no regions, and say nothing about domains."""
    n_labelled, n_labels = int((labels.codes >= 0).sum()), len(labels.categories)
    if n_labels == 0 or 1 < n_labels <= TOO_MANY * n_labelled:
        return []
    found = f"all {n_labelled} labelled spots have the label" if n_labels == 1 else f"{n_labels} labels such as"
    return [
        f"Expected a label for each region, found that {found} {labels.categories[0]!r}"
        f"{'' if n_labels == 1 else f' for {n_labelled} spots'}: the column may be the wrong one. "
        "The domains are not scored against these labels."
    ]


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    """Names of the columns, in small letters, and the lines below them, all of the same length."""
    lines = _lines(path)
    first, rest = (lines[0], lines[1:]) if lines else ([], [])
    if len(first) == 2 and BARCODE.fullmatch(first[0]):
        return ["barcode", "label"], [_filled(line, 2) for line in lines]
    names = [name.lower() for name in first]
    is_longer = bool(rest) and all(len(line) == len(names) + 1 for line in rest)
    if is_longer and (any(line[-1] for line in rest) or {"barcode", ROW_NAMES}.isdisjoint(names)):
        names = [ROW_NAMES, *names]
    rest = [line[:-1] if len(line) == len(names) + 1 and not line[-1] else line for line in rest]  # a comma at the end
    if any(len(line) > len(names) for line in rest):
        line = next(line for line in rest if len(line) > len(names))
        raise EfnstError(
            f"Expected {len(names)} values in each line of {path.name} as in the first, found {len(line)} in that of "
            f"{line[0]}: put quotes around a value that holds the separator."
        )
    return names, [_filled(line, len(names)) for line in rest]


def _lines(path: Path) -> list[list[str]]:
    """The cells of all lines that are not empty."""
    with reading(path):
        content = path.read_bytes()
    lines = list(io.StringIO(text_of(content, path.name, "CSV UTF-8"), newline=""))
    above, named = above_table(lines)
    lines = lines[above:]
    if lines and len(lines[0]) >= LONGEST_HEADER:
        raise damaged(path, f"a first line of more than {LONGEST_HEADER} characters")
    separator = named or next((found for line in lines[:2] for found in _separators(line)), ",")
    with reading(path):
        table = list(csv.reader(lines, delimiter=separator, skipinitialspace=separator != "\t"))
    if not table:
        raise EfnstError(f"Expected a complete {path.name}, found an empty file: copy it again.")
    return [[cell.strip() for cell in line] for line in table if any(cell.strip() for cell in line)]


def _separators(line: str) -> list[str]:
    """What may separate the cells of a line, likeliest first; spaces where there is nothing else."""
    by_count = sorted(",\t;", key=line.count, reverse=True)
    return [found for found in by_count if found in line] or [" "] * (" " in line.strip())


def _filled(line: list[str], n_cells: int) -> list[str]:
    """A line with empty cells at its end where it is shorter than the others."""
    return line + [""] * (n_cells - len(line))


def _columns(names: list[str], path: Path) -> tuple[int, int]:
    """Where barcodes and labels stand: barcodes may be names of rows; the only other column holds the labels."""
    barcode = "barcode" if "barcode" in names else ROW_NAMES
    others = [name for name in names if name not in (barcode, ROW_NAMES)]
    label = "label" if "label" in names else others[0] if len(others) == 1 else None
    if barcode not in names or label is None:
        raise EfnstError(
            f"Expected the columns barcode and label in {path.name}, found {', '.join(filter(None, names))}: "
            "name them in the first line."
        )
    repeated = [name for name in (barcode, label) if name and names.count(name) > 1]
    if repeated:
        raise EfnstError(
            f"Expected one column {repeated[0]} in {path.name}, found {names.count(repeated[0])}: remove one."
        )
    return names.index(barcode), names.index(label)
