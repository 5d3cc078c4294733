"""Text that a spreadsheet would compute: written so that it is text, and read back as it was."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from efnst.exports.tables import loupe_table
from efnst.inputs.find import Found, rows
from efnst.names import BASELINES, DOMAIN
from efnst.program.arrays import write_table
from efnst.program.spreadsheets import harmless, harmless_table, original, read_table
from efnst.records.arrays import MARKERS_CSV
from efnst.reports.cohort import Outcome, write_sections

FORMULAS = ('=cmd|"/C calc"!A0', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "'=1", "''=1")
HARMLESS = ("AAACAAGTATCTCCCA-1", "MT-ND1", "1", "", "'", "'a", "a=b", "NA")


def markers(genes: tuple[str, ...]) -> pd.DataFrame:
    """markers.csv of these genes."""
    numbers = {name: np.linspace(-1, 1, len(genes)) for name in MARKERS_CSV.names[2:]}
    return pd.DataFrame({"domain": ["1"] * len(genes), "gene": genes} | numbers)


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_become_text_and_are_found_again(text: str) -> None:
    assert harmless(text) == f"'{text}" and original(harmless(text)) == text


@pytest.mark.parametrize("value", [*HARMLESS, -1, -0.5, None, True])
def test_other_values_stay(value: object) -> None:
    assert harmless(value) is value and original(value) is value


def test_a_table_of_genes(tmp_path: Path) -> None:
    table = markers((*FORMULAS, *HARMLESS))
    write_table(tmp_path / "markers.csv", MARKERS_CSV, table)
    with (tmp_path / "markers.csv").open(newline="") as file:
        cells = [row["gene"] for row in csv.DictReader(file)]
    assert not [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell]
    assert read_table(tmp_path / "markers.csv", dtype={"domain": str, "gene": str})["gene"].tolist() == [*table["gene"]]


def test_a_sound_table_does_not_change(tmp_path: Path) -> None:
    table = markers(HARMLESS)
    table["group"] = pd.Series(["a", None] * 4, dtype="string")
    table["kind"] = table["self"] = pd.Categorical(["x", None] * 4)
    assert harmless_table(table).to_csv() == table.to_csv()


def test_barcodes_for_loupe() -> None:
    obs = pd.DataFrame(index=list(FORMULAS))
    for name in (DOMAIN, *BASELINES):
        obs[name] = "1"
    table = harmless_table(loupe_table(obs))
    assert [barcode[0] for barcode in table["Barcode"]] == ["'"] * len(FORMULAS)


def test_reasons_in_the_table_of_sections(tmp_path: Path) -> None:
    write_sections([Outcome("s", "error", "=HYPERLINK(1)", None)], tmp_path / "sections.csv")
    assert ",'=HYPERLINK(1)," in (tmp_path / "sections.csv").read_text()


def test_paths_in_a_samplesheet_that_is_made(tmp_path: Path) -> None:
    ((_, section),) = rows([Found("s", tmp_path / "=cmd()")], tmp_path)[1:]
    assert section == "./=cmd()"
