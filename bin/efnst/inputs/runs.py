"""Results of earlier runs: the domains of their samples."""

from pathlib import Path

import pandas as pd

from efnst.errors import EfnstError, damaged, reading
from efnst.names import NOVEL_DOMAIN, PIPELINE_INFO
from efnst.program.documents import document_text, load_json
from efnst.program.spreadsheets import read_table

TABLE = "domains.csv"
FAILED = "error"  # status in sections.csv of a section that did not come to an end


def sample_tables(folder: Path) -> dict[str, Path]:
    """domains.csv of each sample of a run that finished, by sample; EfnstError where there is none."""
    if not folder.is_dir():
        raise EfnstError(f"Expected the folder of a run's results, found no folder {folder}: name its --outdir.")
    finished = finished_samples(folder)
    found = {sample: path for sample, path in _tables_in(folder).items() if finished is None or sample in finished}
    if not found:
        raise EfnstError(
            f"Expected <sample>/{TABLE} in {folder}, found none: name the --outdir of a run that finished."
        )
    return found


def finished_samples(folder: Path) -> set[str] | None:
    """Samples that the last run into a folder has and brought to an end; None where the folder does not tell.

    A run does not clear what earlier ones left there. A run that was stopped before its sections.csv is known by its
    samplesheet alone.
    """
    listed, ended = folder / PIPELINE_INFO / "sections.json", folder / "sections.csv"
    if not listed.is_file():
        return None
    with reading(listed):
        rows = load_json(document_text(listed))
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "id" in row for row in rows):
        raise damaged(listed, "no list of sections")
    samples = {str(row["id"]) for row in rows}
    if not ended.is_file():
        return samples
    with reading(ended):
        table = read_table(ended, dtype=str)
    if missing := {"sample", "status"} - set(table.columns):
        raise damaged(ended, f"no column {', '.join(sorted(missing))}")
    return samples & set(table["sample"][table["status"] != FAILED])


def left_over(folder: Path) -> list[str]:
    """Samples with domains in a folder that its last run does not have, or did not bring to an end."""
    finished = finished_samples(folder)
    return [] if finished is None else [sample for sample in _tables_in(folder) if sample not in finished]


def shared_spots(first: Path, second: Path) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Domains of the barcodes that both runs have, by sample: text, columns `first` and `second`; samples without any.

    Spots without a domain in one of the runs, or unlike all of a reference, are left out. Raises EfnstError where
    nothing is shared.
    """
    tables = sample_tables(first), sample_tables(second)
    samples = [sample for sample in tables[0] if sample in tables[1]]
    if not samples:
        named = " and ".join(
            f"{', '.join(list(table)[:5])} in {run}" for table, run in zip(tables, (first, second), strict=True)
        )
        raise EfnstError(
            f"Expected samples that both runs have, found none ({named}): match runs of the same sections."
        )
    pairs = {sample: _joined(tables[0][sample], tables[1][sample]) for sample in samples}
    found = {sample: spots for sample, spots in pairs.items() if len(spots)}
    if not found:
        raise EfnstError(
            f"Expected barcodes that both runs have, found none in {', '.join(samples[:5])}: match runs of the same "
            "sections and the same --bin_um."
        )
    return found, [sample for sample in samples if sample not in found]


def has_common_domains(folder: Path) -> bool:
    """Whether a domain is the same in all samples of a run: in a cohort's scope, or by a reference."""
    path = folder / PIPELINE_INFO / "parameters.json"
    if not path.is_file():
        return False
    with reading(path):
        parameters = load_json(document_text(path))
    if not isinstance(parameters, dict):
        raise damaged(path, "no JSON object")
    return parameters.get("scope") == "cohort" or bool(parameters.get("reference"))


def _tables_in(folder: Path) -> dict[str, Path]:
    """domains.csv of every sample in a folder, whichever run left it there."""
    return {path.parent.name: path for path in sorted(folder.glob(f"*/{TABLE}"))}


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
