"""Labels that the user gives for the spots."""

from pathlib import Path

import pandas as pd
import pytest

from efnst.errors import EfnstError
from efnst.inputs.labels import match_labels, read_labels

BARCODES = pd.Index(["S0", "S1", "S2"])


@pytest.mark.parametrize(
    "content",
    [
        "barcode,label\nS2,a\nS0,b\nS1,\n",
        "\ufeffBarcode;Layer\r\nS1;NA\r\nS2;a\r\nS0; b \r\n",
        "x,label,barcode\n1,a,S2\n2,b,S0\n3,,S1\n",
    ],
)
def test_labels_are_joined_on_the_barcode(tmp_path: Path, content: str) -> None:
    (tmp_path / "l.csv").write_text(content, encoding="utf-8")
    labels, warnings = match_labels(BARCODES, read_labels(tmp_path / "l.csv"))
    assert labels[0] == "b" and pd.isna(labels[1]) and labels[2] == "a" and warnings == []


def test_labels_that_match_in_part_are_a_warning(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("barcode,label\nS0,a\nT9,b\n")
    labels, warnings = match_labels(BARCODES, read_labels(tmp_path / "l.csv"))
    assert labels[0] == "a"
    assert warnings == [
        "1 of 2 labels are for barcodes that are not spots in tissue.",
        "2 of 3 spots do not stand in the file of labels.",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "barcode,label\nT0,a\n",
            r"found 1 labels and none for any of its 3 spots \(first spot S0, first label for T0\)",
        ),
        ("barcode,label\nS0,\n", "found 0 labels"),
        ("barcode,label\n", "found 0 labels and none .* first label for nothing"),
        ("S0,a\nS1,b\n", "columns barcode and label in l.csv, found s0, a"),
        ("barcode,x,y\nS0,a,b\n", "found barcode, x, y"),
        ("barcode,label\nS0,a\nS0,b\n", "every barcode once in l.csv, found S0 more than once"),
        ("", "complete l.csv"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "l.csv").write_text(content)
    with pytest.raises(EfnstError, match=said):
        match_labels(BARCODES, read_labels(tmp_path / "l.csv"))


def test_no_file_of_labels(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"found no file"):
        read_labels(tmp_path / "absent.csv")
