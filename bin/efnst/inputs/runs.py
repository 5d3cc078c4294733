"""Results of two runs: the domains of the spots that both have."""

from pathlib import Path

import pandas as pd

from efnst.errors import EfnstError, reading
from efnst.names import NOVEL_DOMAIN
from efnst.program.spreadsheets import read_table


def shared_spots(first: dict[str, Path], second: dict[str, Path]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Domains of the barcodes that both runs have, by sample: text, columns `first` and `second`; samples without any.

    `first` and `second` are domains.csv of the samples of each run, by sample, not empty. Spots without a domain in one
    of the runs, or unlike all of a reference, are left out. Raises EfnstError where nothing is shared.
    """
    samples = [sample for sample in first if sample in second]
    if not samples:
        folders = [next(iter(tables.values())).parents[1] for tables in (first, second)]
        named = " and ".join(
            f"{', '.join(list(tables)[:5])} in {run}" for tables, run in zip((first, second), folders, strict=True)
        )
        raise EfnstError(
            f"Expected samples that both runs have, found none ({named}): match runs of the same sections."
        )
    pairs = {sample: _joined(first[sample], second[sample]) for sample in samples}
    found = {sample: spots for sample, spots in pairs.items() if len(spots)}
    if not found:
        raise EfnstError(
            f"Expected barcodes that both runs have, found none in {', '.join(samples[:5])}: match runs of the same "
            "sections and the same --bin_um."
        )
    return found, [sample for sample in samples if sample not in found]


def _joined(first: Path, second: Path) -> pd.DataFrame:
    """The domains of the barcodes that have one in both tables."""
    columns = [_domains(path) for path in (first, second)]
    joined = pd.concat(columns, axis=1, join="inner", keys=["first", "second"])
    return joined[~joined.isin(["", str(NOVEL_DOMAIN)]).any(axis=1)]


def _domains(path: Path) -> pd.Series:
    """The domain of each barcode, text."""
    with reading(path):
        table = read_table(path, dtype=str)
    missing = {"barcode", "domain"} - set(table.columns)
    if missing or table["barcode"].duplicated().any():
        found = f"no column {', '.join(sorted(missing))}" if missing else "barcodes that occur twice"
        raise EfnstError(f"Expected `{path}` as efnst writes it, found {found}: name the results of a run.")
    return table.set_index("barcode")["domain"]
