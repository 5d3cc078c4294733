"""What is wrong with the parameters or the samplesheet is said at once, before any section is read."""

import re
import subprocess
from pathlib import Path

import pytest
from tests.pipeline.conftest import Efnst, write_sheet

from efnst import __version__


def words(text: str) -> str:
    """`text` with all white space alike."""
    return re.sub(r"\s+", " ", text)


def test_all_problems_are_listed_in_one_message(efnst: Efnst, tmp_path: Path) -> None:
    row = {"sample": "a", "section": "nowhere", "n_domains": "4", "lables": "labels.csv"}
    wrong = ("--epochs=-5", "--clustering", "mix", "--n_domain", "5")
    run = efnst(tmp_path, "--input", write_sheet(tmp_path / "sheet.csv", row, row), *wrong)
    assert run.status != 0
    message = words(run.output)
    assert "Found 5 problems in the parameters and the samplesheet; nothing was run:" in message
    assert "parameter --epochs: found -5, expected a whole number, 1 or more" in message
    assert 'parameter --clustering: found "mix", expected one of mixture, leiden, kmeans' in message
    assert "parameter --n_domain: not known to efnst; did you mean --n_domains?" in message
    assert "column lables: not known; did you mean labels?" in message
    assert 'row 2 and row 3, column sample: found "a" in 2 rows' in message
    assert {task["process"] for task in run.tasks} == {"CHECK_INPUTS"}


@pytest.mark.parametrize(("options", "found"), [((), "nothing"), (("--input", "no.csv"), "`no.csv`")])
def test_samplesheet_that_is_not_given_or_not_there(
    efnst: Efnst, tmp_path: Path, options: tuple[str, ...], found: str
) -> None:
    run = efnst(tmp_path, *options)
    assert run.status != 0
    assert f"Expected --input to name a samplesheet, found {found}" in words(run.output)
    assert run.tasks == []


@pytest.mark.parametrize(("option", "shown"), [("--help", "--n_domains"), ("--version", f"efnst {__version__}")])
def test_help_and_version_are_shown_and_nothing_is_left(project: Path, tmp_path: Path, option: str, shown: str) -> None:
    command = [project / "efnst", "run", option]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert shown in ended.stdout
    assert {path.name.split(".log")[0] for path in tmp_path.iterdir()} <= {".nextflow", "work"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("old", "found `old`, which has no reference.json. Give `old/reference`."),
        ("old/A1", "found `old/A1`, which has no reference.json. Give that folder."),
        ("new", "found `new`, which does not exist. Give that folder."),
    ],
)
def test_a_folder_that_is_no_reference(efnst: Efnst, tmp_path: Path, given: str, said: str) -> None:
    """The folder of results in place of the reference in it is the usual slip."""
    for folder in ("reference", "A1"):
        (tmp_path / "old" / folder).mkdir(parents=True)
    (tmp_path / "old" / "reference" / "reference.json").write_text("{}")
    sheet = write_sheet(tmp_path / "sheet.csv", {"sample": "a", "section": "nowhere"})
    run = efnst(tmp_path, "--input", sheet, "--reference", given)
    assert run.status != 0 and said in words(run.output)
    assert run.tasks == []
