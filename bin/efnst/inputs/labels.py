"""Labels that the user gives for the spots of a section."""

from pathlib import Path

import pandas as pd

from efnst.errors import EfnstError, damaged, reading

LONGEST_HEADER = 100_000  # characters; metadata of a section have a few dozen columns
MISSING_LABELS = ("", "NA", "NaN", "nan", "None")


def read_labels(path: Path) -> pd.Series:
    """Labels by barcode from a CSV with the columns barcode and label; an empty label or NA is missing (None)."""
    if not path.is_file():
        raise EfnstError(f"Expected a CSV of labels, found no file {path}: check the column labels.")
    with reading(path), path.open(encoding="utf-8-sig") as file:
        header = file.readline(LONGEST_HEADER)
    if len(header) == LONGEST_HEADER:
        raise damaged(path, f"a first line of more than {LONGEST_HEADER} characters")
    separator = max(",\t;", key=header.count)
    with reading(path):
        table = pd.read_csv(
            path, sep=separator, dtype=str, keep_default_na=False, index_col=False, encoding="utf-8-sig"
        )
    table.columns = [str(name).strip().lower() for name in table.columns]
    names = list(table.columns)
    if "barcode" not in names or not ("label" in names or len(names) == 2):
        raise EfnstError(
            f"Expected the columns barcode and label in {path.name}, found {', '.join(names)}: "
            "name them in the first line."
        )
    label = "label" if "label" in names else next(name for name in names if name != "barcode")
    values = table[label].str.strip()
    labels = pd.Series(values.where(~values.isin(MISSING_LABELS), None).to_numpy(object), table["barcode"].str.strip())
    repeated = labels.index[labels.index.duplicated()]
    if len(repeated):
        raise EfnstError(
            f"Expected every barcode once in {path.name}, found {repeated[0]} more than once "
            f"({len(repeated.unique())} barcodes are repeated): keep one line for each."
        )
    return labels


def match_labels(barcodes: pd.Index, labels: pd.Series) -> tuple[pd.Categorical, list[str]]:
    """Labels in the order of `barcodes`, missing where there is none, and warnings about barcodes that do not match."""
    given = labels.dropna()
    n_known = int(given.index.isin(barcodes).sum())
    if not n_known:
        raise EfnstError(
            f"Expected labels for the spots of the section, found {len(given)} labels and none for any of its "
            f"{len(barcodes)} spots (first spot {barcodes[0]}, first label for "
            f"{labels.index[0] if len(labels) else 'nothing'}): "
            "give the labels of this section, with the barcodes as they are in the matrix."
        )
    warnings = []
    if n_known < len(given):
        warnings.append(f"{len(given) - n_known} of {len(given)} labels are for barcodes that are not spots in tissue.")
    n_absent = int((~barcodes.isin(labels.index)).sum())
    if n_absent:
        warnings.append(f"{n_absent} of {len(barcodes)} spots do not stand in the file of labels.")
    return pd.Categorical(given.reindex(barcodes)), warnings
