"""Numbers of hundreds of digits, digits that are none, brackets without end: an error that says where, no traceback."""

import json
from pathlib import Path

import pytest
from tests.support.places import PROJECT

from efnst.errors import EfnstError
from efnst.inputs.open import open_source
from efnst.inputs.samplesheet import read_samplesheet, sections
from efnst.program.parameters import check_parameters, read_parameters, read_schema

DIGITS = ("9" * 400, "9" * 5000, "-" + "9" * 5000, "²", "1e999", "٣" * 400)


@pytest.mark.parametrize("number", DIGITS)
def test_in_a_samplesheet(number: str, tmp_path: Path) -> None:
    (tmp_path / "sheet.csv").write_text(f"sample,section,n_domains,bin_um\nA,a,{number},{number}\n")
    schema = read_schema(PROJECT / "assets" / "samplesheet_schema.json")
    _, problems = sections(read_samplesheet(tmp_path / "sheet.csv"), schema, {}, "/data")
    assert ["column n_domains" in problems[0], "column bin_um" in problems[1]] == [True, True]
    assert max(map(len, problems)) < 400


@pytest.mark.parametrize("number", DIGITS)
def test_in_a_parameter(number: str) -> None:
    given = {"input": "a.csv", "outdir": "b", "epochs": number, "max_pct_mt": number}
    _, problems = check_parameters(given, read_schema(PROJECT / "nextflow_schema.json"))
    assert any("--epochs: found" in problem for problem in problems)
    assert max(map(len, problems)) < 400


@pytest.mark.parametrize("text", ["[" * 1_000_000, '{"epochs": ' + "9" * 5000 + "}", '{"epochs": NaN}'])
def test_in_the_parameters_of_a_run(text: str, tmp_path: Path) -> None:
    (tmp_path / "parameters.json").write_text(text)
    with pytest.raises(EfnstError, match="Expected the parameters as JSON"):
        read_parameters(tmp_path / "parameters.json")


@pytest.mark.parametrize("bin_um", [*DIGITS, "-8", "8\n"])
def test_as_a_bin_size(bin_um: str, tmp_path: Path) -> None:
    (tmp_path / "binned_outputs" / "square_008um").mkdir(parents=True)
    with pytest.raises(EfnstError, match="Expected a bin size in µm, cells or nothing"):
        open_source(tmp_path, bin_um)


def test_a_number_in_json_stays_one(tmp_path: Path) -> None:
    (tmp_path / "parameters.json").write_text(json.dumps({"epochs": 3, "seed": 0}))
    assert read_parameters(tmp_path / "parameters.json") == {"epochs": 3, "seed": 0}
