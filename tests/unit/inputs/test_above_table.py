"""Comments and Excel's `sep=;` above tables of every kind that users give."""

from pathlib import Path

import pandas as pd
import pytest
from tests.support.places import PROJECT

from efnst.errors import EfnstError
from efnst.inputs.above_table import above_table
from efnst.inputs.aggregated import libraries
from efnst.inputs.labels import read_labels
from efnst.inputs.metrics import read_metrics
from efnst.inputs.positions import POSITION_COLUMNS, read_positions
from efnst.inputs.samplesheet import read_samplesheet, sections
from efnst.program.parameters import read_schema

SCHEMA = read_schema(PROJECT / "assets" / "samplesheet_schema.json")
ABOVE = ["", "sep={}\r\n", '"sep={}"\r\n', "SEP={}{}\r\n", "# by hand, May; v2\n", "\ufeffsep={}\n#\n\n# a\tb\n"]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], (0, "")),
        (["sep=;\n", "a;b\n", "sep=,\n"], (1, ";")),
        (["\n", "# a\n", "#\n", "sep=\t\n", "#a\tb\n"], (4, "\t")),  # which may name a column
        (["sep=x\n", "a\n"], (0, "")),
        (["separator;a\n"], (0, "")),
    ],
)
def test_what_stands_above(lines: list[str], found: tuple[int, str]) -> None:
    assert above_table(lines) == found


def written(folder: Path, above: str, separator: str, lines: list[str]) -> Path:
    """A table with this above it, whose `lines` have commas; a comma within a cell is a decimal one, `°`."""
    text = above.replace("{}", separator) + "".join(f"{line.replace(',', separator)}\n" for line in lines)
    (folder / "table.csv").write_text(text.replace("°", ","), encoding="utf-8", newline="")
    return folder / "table.csv"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("above", ABOVE)
def test_tables_below_it(above: str, separator: str, tmp_path: Path) -> None:
    labels = read_labels(written(tmp_path, above, separator, ["barcode,label", "S0,a", "S1,b"]))
    assert labels.to_dict() == {"S0": "a", "S1": "b"}
    sheet = written(tmp_path, above, separator, ["sample,section,age", "A1,a,7", "B1,b,8"])
    found, problems = sections(read_samplesheet(sheet), SCHEMA, {}, "/data")
    assert problems == [] and [row["covariates"] for row in found] == [{"age": "7"}, {"age": "8"}]
    decimal = "3°5" if separator == ";" else "3.5"
    for names in ([",".join(POSITION_COLUMNS)], []):
        path = written(tmp_path, above, separator, [*names, f"S0,1,0,0,10,{decimal}", f"S1,0,0,2,30,{decimal}"])
        table, _ = read_positions(path)
        assert table.index.tolist() == ["S0", "S1"] and table["pxl_col_in_fullres"].tolist() == [3.5, 3.5]


@pytest.mark.parametrize("above", ABOVE)
def test_tables_of_space_ranger_that_went_through_a_spreadsheet(above: str, tmp_path: Path) -> None:
    metrics = read_metrics(written(tmp_path, above, ";", ["Number of Spots,Share", "250,0°5"]))
    assert metrics == {"Number of Spots": 250, "Share": 0.5}
    written(tmp_path, above, ",", ["library_id,molecule_h5", "A1,a", "B1,b"]).rename(tmp_path / "aggregation.csv")
    assert libraries(tmp_path) == ["A1", "B1"]


def test_lines_are_counted_from_the_first_of_the_file(tmp_path: Path) -> None:
    sheet = written(tmp_path, "# mine\nsep={}\n", ";", ["sample,section", "A1,a", "B1,"])
    _, problems = sections(read_samplesheet(sheet), SCHEMA, {}, "/data")
    assert len(problems) == 1 and problems[0].startswith("row 5 (B1), column section: empty")
    for names, line in (([",".join(POSITION_COLUMNS)], 5), ([], 4)):
        path = written(tmp_path, "# mine\nsep={}\n", ";", [*names, "S0,1,0,0,10,30", "S1,x,0,2,30,30"])
        with pytest.raises(EfnstError, match=f"in line {line} of table.csv"):
            read_positions(path)


def test_a_separator_that_is_named_goes_before_commas_in_labels(tmp_path: Path) -> None:
    path = written(tmp_path, "sep={}\n", ";", ["barcode,label", "S0,cortex° layer 2° deep", "S1,cortex° layer 3° deep"])
    pd.testing.assert_series_equal(
        read_labels(path), pd.Series(["cortex, layer 2, deep", "cortex, layer 3, deep"], ["S0", "S1"], dtype=object)
    )
