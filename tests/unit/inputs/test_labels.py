"""Labels that the user gives for the spots."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from efnst.errors import EfnstError
from efnst.inputs.labels import match_labels, read_labels, unscored

BARCODES = pd.Index(["S0", "S1", "S2"])


@pytest.mark.parametrize(
    "content",
    [
        "barcode,label\nS2,a\nS0,b\nS1,\n",
        "\ufeffBarcode;Layer\r\nS1;NA\r\nS2;a\r\nS0; b \r\n",
        "x,label,barcode\n1,a,S2\n2,b,S0\n3,,S1\n",
        "barcode,label\nS2,a\nS0,b\nS1,n/a\n",
        "barcode,label\nS2,a\nS0,b\nS1,null\n",
    ],
)
def test_labels_are_joined_on_the_barcode(tmp_path: Path, content: str) -> None:
    (tmp_path / "l.csv").write_text(content, encoding="utf-8")
    labels, warnings = match_labels(BARCODES, read_labels(tmp_path / "l.csv"))
    assert labels[0] == "b" and pd.isna(labels[1]) and labels[2] == "a" and warnings == []


@pytest.mark.parametrize(
    "content",
    [
        "barcode,label\nS0,\nS1,\nS2,\n",
        'Barcode,Pathologist\n"S0",""\n"S1",NA\n"S2",NaN\n',
        "label\nS0,\nS1,\nS2,\n",  # write.table(na = ""): names of rows, and no comma at the end
        "barcode,label\nS0,\nT9,a\n",  # none of a spot in tissue
        "barcode,label\n",
    ],
)
def test_empty_labels_are_a_warning(tmp_path: Path, content: str) -> None:
    """As one column of a cohort's metadata has them for the sections that nobody labelled."""
    (tmp_path / "l.csv").write_text(content)
    labels, warnings = match_labels(BARCODES, read_labels(tmp_path / "l.csv"))
    assert len(labels.categories) == 0 and labels.isna().all() and unscored(labels) == []
    assert warnings[-1] == "None of 3 spots has a label in the file of labels: the section goes without."


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
        ("barcode,label\nT0,\nT1,NA\n", "found 2 labels and none for any of its 3 spots"),
        ("S0,a\nS1,b\n", "columns barcode and label in l.csv, found s0, a"),
        ("barcode,x,y\nS0,a,b\n", "found barcode, x, y"),
        ("barcode,label\nS0,a\nS0,b\n", "every barcode once in l.csv, found S0 more than once"),
        ("barcode,label,Label\nS0,a,b\n", "one column label in l.csv, found 2: remove one"),
        ("barcode,Barcode,label\nS0,S1,b\n", "one column barcode in l.csv, found 2"),
        ("", "complete l.csv"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "l.csv").write_text(content)
    with pytest.raises(EfnstError, match=said):
        match_labels(BARCODES, read_labels(tmp_path / "l.csv"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("barcode,label\nS0,a\nS1,b\x00\n", r'found "b\\u0000" in the line of "S1": shorten it'),
        ("barcode,label\nS0,a\nS1,b\x07c\n", r'found "b\\u0007c" in the line of "S1"'),
        ('barcode,label\nS0,"a\nb"\n', r'found "a\\nb" in the line of "S0"'),
        (f"barcode,label\nS0,{'a' * 201}\n", r'found "a+… in the line of "S0"'),
        ('barcode,label\nS0,"a\nS1,b\nS2,c"\n', r'in the line of "S0": .* look for a quote there that is not closed'),
        ('barcode,label\nS0,"a\nS1,b\nS2,c\n', 'in the line of "S0"'),  # never closed
        ('barcode,label\n"S0,a\nS1",b\nS2,c\n', r'found "S0,a\\nS1" in the line of'),
    ],
)
def test_a_label_is_one_line(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "l.csv").write_text(content)
    with pytest.raises(EfnstError, match=f"in l.csv to be a single line of at most 200 characters each, .*{said}"):
        read_labels(tmp_path / "l.csv")


def test_only_labels_have_to_be_one_line(tmp_path: Path) -> None:
    """What else a table of metadata holds is not looked at; a label may have any letters."""
    label = "Ränder (präneoplastisch) / 5 µm, 患者 " + "x" * 100
    (tmp_path / "l.csv").write_text(f'barcode,note,label\nS0,"two\nlines","{label}"\nS1,{"y" * 300},\n')
    assert read_labels(tmp_path / "l.csv").tolist() == [label, None]


def test_no_file_of_labels(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"found no file"):
        read_labels(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    "content",
    [
        "barcode\tlabel\nS2\tS2\ta\nS0\tS0\tb\nS1\tS1\tNA\n",  # write.table: the names of rows have no name
        '"barcode","label"\n"1","S2","a"\n"2","S0","b"\n"3","S1",NA\n',
        '"barcode" "label"\n"1" "S2" "a"\n"2" "S0" "b"\n"3" "S1" NA\n',
        "barcode\tsample\trow\tlabel\nS2\tS2\tx\t0\ta\nS0\tS0\tx\t1\tb\nS1\tS1\tx\t2\t\n",
        "label\nS2,a\nS0,b\nS1,\n",  # the names of rows are the barcodes
        '"","region"\n"S2","a"\n"S0","b"\n"S1",""\n',
        ",barcode,label\n0,S2,a\n1,S0,b\n2,S1,\n",  # pandas
        "barcode,label\nS2,a,\nS0,b,\nS1,,\n",  # a comma at the end of each line
    ],
)
def test_names_of_rows_are_recognised(tmp_path: Path, content: str) -> None:
    (tmp_path / "l.csv").write_text(content)
    labels, warnings = match_labels(BARCODES, read_labels(tmp_path / "l.csv"))
    assert labels[0] == "b" and pd.isna(labels[1]) and labels[2] == "a" and warnings == []


VISIUM = pd.Index(["AAACAAGTATCTCCCA-1", "AAACACCAATAACTGC-1"])


def test_labels_without_a_line_of_names(tmp_path: Path) -> None:
    (tmp_path / "truth.txt").write_text("AAACACCAATAACTGC-1\tWM\nAAACAAGTATCTCCCA-1\tLayer_1\n")
    labels, warnings = match_labels(VISIUM, read_labels(tmp_path / "truth.txt"))
    assert list(labels) == ["Layer_1", "WM"] and warnings == []


@pytest.mark.parametrize("written", ["{}", "{}-1_1", "S1_{}-1", "{}-2"])
def test_barcodes_with_other_affixes_are_matched_by_their_sequence(tmp_path: Path, written: str) -> None:
    lines = [f"{written.format(barcode[:-2])},{label}" for barcode, label in zip(VISIUM, "ab", strict=True)]
    (tmp_path / "l.csv").write_text("\n".join(["barcode,label", *lines]))
    labels, warnings = match_labels(VISIUM, read_labels(tmp_path / "l.csv"))
    assert list(labels) == ["a", "b"] and len(warnings) == 1
    assert warnings[0].startswith(f"The barcodes of the labels are written otherwise ({written.format(VISIUM[0][:-2])}")


def test_labels_of_two_sections_are_not_matched_by_their_sequence(tmp_path: Path) -> None:
    lines = [f"{sample}_{barcode},{sample}" for sample in "AB" for barcode in VISIUM]
    (tmp_path / "l.csv").write_text("\n".join(["barcode,label", *lines]))
    with pytest.raises(EfnstError, match=r"found 4 labels and none for any of its 2 spots"):
        match_labels(VISIUM, read_labels(tmp_path / "l.csv"))


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_text_that_is_not_utf_8(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "l.csv").write_bytes("barcode,label\nS0,Tumorränder\n".encode(encoding))
    with pytest.raises(EfnstError, match=r"Expected UTF-8 text in l.csv, .*: save it as CSV UTF-8"):
        read_labels(tmp_path / "l.csv")


def test_packed_labels_are_told(tmp_path: Path) -> None:
    (tmp_path / "l.csv.gz").write_bytes(gzip.compress(b"barcode,label\nS0,a\n"))
    with pytest.raises(EfnstError, match=r"Expected text in l.csv.gz, found a compressed file, .*: unpack it"):
        read_labels(tmp_path / "l.csv.gz")


def test_a_label_with_an_unquoted_separator(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("barcode,label\nS0,a\nS1,tumour, invasive\n")
    with pytest.raises(EfnstError, match=r"Expected 2 values .* found 3 in that of S1: put quotes"):
        read_labels(tmp_path / "l.csv")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["a"] * 9 + ["b"] * 3 + [None], None),
        (["a"] * 9 + [None], "all 9 labelled spots have the label 'a'"),
        ([f"S{i}" for i in range(12)], "12 labels such as 'S0' for 12 spots"),
    ],
)
def test_labels_that_make_no_regions_are_named(labels: list[str | None], said: str | None) -> None:
    warnings = unscored(pd.Categorical(labels))
    assert len(warnings) == (said is not None)
    if said:
        assert said in warnings[0] and warnings[0].endswith("are not scored against these labels.")


def test_a_few_barcodes_that_are_the_same_do_not_hide_that_most_are_written_otherwise() -> None:
    """As `obs_names_make_unique` leaves the second of two sections: -1 more behind what the first has, too."""
    bases = [f"AAACAAGTATCTCC{a}{b}" for a in "ACGT" for b in "ACGT"]
    spots = pd.Index([f"{base}-1" if number % 8 == 0 else f"{base}-1-1" for number, base in enumerate(bases)])
    table = pd.Series([f"layer {number}" for number in range(16)], [f"{base}-1" for base in bases])
    labels, warnings = match_labels(spots, table)
    assert list(labels) == list(table) and "written otherwise" in warnings[0]
    half = table.iloc[::2]
    labels, warnings = match_labels(pd.Index([f"{base}-1" for base in bases]), half)
    assert labels.notna().sum() == 8 and not any("written otherwise" in warning for warning in warnings)
