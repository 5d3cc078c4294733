"""check_inputs.py through its command line."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.places import BIN

PROGRAM = BIN / "check_inputs.py"


def check(folder: Path, *options: str, params: dict | None = None, sheet: str = "") -> subprocess.CompletedProcess:
    """Run the program in `folder` on a samplesheet and parameters."""
    (folder / "sheet.csv").write_text(sheet)
    (folder / "params.json").write_text(json.dumps(params or {"input": "my/cohort.csv", "outdir": "results"}))
    command = [sys.executable, str(PROGRAM), "--input", "sheet.csv", "--params", "params.json", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_good_samplesheet_is_listed(tmp_path: Path) -> None:
    params = {"input": "my/cohort.csv", "outdir": "r", "n_domains": "7", "use_image": "true", "seed": None}
    sheet = "sample,section,n_domains\nA1,a1,\nB1,s3://bucket/b1,4\n"
    done = check(tmp_path, "--base", "/data/my", "--problems", "problems.txt", params=params, sheet=sheet)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "problems.txt").read_text() == ""
    sections = json.loads((tmp_path / "sections.json").read_text())
    assert [(row["id"], row["section"], row["n_domains"]) for row in sections] == [
        ("A1", "/data/my/a1", 7),
        ("B1", "s3://bucket/b1", 4),
    ]
    parameters = json.loads((tmp_path / "parameters.json").read_text())
    assert parameters["n_domains"] == 7 and parameters["use_image"] is True and parameters["seed"] == 0


def test_paths_start_from_the_samplesheet_unless_told_otherwise(tmp_path: Path) -> None:
    done = check(tmp_path, "--outdir", "a/new", sheet="sample,section,n_domains\nA1,a1,3\n")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "a/new/sections.json").read_text())[0]["section"] == str(tmp_path / "a1")


def test_problems_of_parameters_and_rows_are_printed_together(tmp_path: Path) -> None:
    params = {"input": "my/cohort.csv", "outdir": "r", "epochs": "0", "n_domians": 3}
    done = check(tmp_path, params=params, sheet="sample,section\nA 1,a1\nB1,\n")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and "Found 4 problems" in done.stderr
    for said in ("--epochs", "--n_domians", "cohort.csv, row 2 (A 1), column sample", "row 3 (B1), column section"):
        assert said in done.stderr
    assert not (tmp_path / "sections.json").exists()


def test_parameters_that_contradict_each_other_or_the_rows(tmp_path: Path) -> None:
    params = {"input": "c.csv", "outdir": "r", "scope": "cohort", "clustering": "leiden", "learn_labels": "true"}
    done = check(tmp_path, params=params, sheet="sample,section,labels\nA1,a1,\n")
    assert done.returncode == 2 and "Found 2 problems" in done.stderr
    assert '--clustering: found "leiden" with --scope cohort' in done.stderr
    assert "--learn_labels: found true and no section with labels" in done.stderr


def test_a_section_in_several_rows_is_warned(tmp_path: Path) -> None:
    """Whatever its path looks like, and whatever else is in the rows; other libraries and bins are other sections."""
    rows = ["A1,a/../a1/,,", "B1,./a1/outs,x.tif,", "C1,c1,,S1", "D1,c1,,S2", "E1,s3://b/e1/outs,,", "F1,s3://b/e1,,"]
    done = check(tmp_path, "--base", "/data", sheet="\n".join(["sample,section,image,library", *rows, ""]))
    assert done.returncode == 0, done.stderr
    told = "column section: found {}, which count as different samples; expected every section once; leave one out"
    lines = (tmp_path / "warnings.txt").read_text().splitlines()
    assert [line.rpartition(", unless")[0] for line in lines] == [
        told.format("/data/a1 for A1 and B1"),
        told.format("s3://b/e1 for E1 and F1"),
    ]
    (tmp_path / "warnings.txt").unlink()
    assert check(tmp_path, sheet="sample,section,bin_um\nA1,a1,8\nB1,a1,16\n").returncode == 0
    assert not (tmp_path / "warnings.txt").exists()
    assert check(tmp_path, sheet="sample,section,bin_um\nA1,a1,8\nB1,a1,\nC1,a1,8.0\n").returncode == 0
    assert "A1 and B1 and C1" in (tmp_path / "warnings.txt").read_text()


def test_gene_sets_that_are_none_are_a_problem(tmp_path: Path) -> None:
    (tmp_path / "sets.gmt").write_text("MBP,PLP1\n")
    done = check(tmp_path, "--gene_sets", "sets.gmt", sheet="sample,section,age\nA1,a1,x\n")
    assert done.returncode == 2
    assert "parameter --gene_sets: Expected a name, a description and genes" in done.stderr


def test_problems_go_to_a_file_when_asked(tmp_path: Path) -> None:
    done = check(tmp_path, "--problems", "problems.txt", sheet="sample,section\nA 1,a1\n")
    assert done.returncode == 0, done.stderr
    message = (tmp_path / "problems.txt").read_text()
    assert message.startswith(
        "Found 1 problem in the parameters and the samplesheet; nothing was run:\n  - cohort.csv, row 2"
    )
    assert json.loads((tmp_path / "sections.json").read_text()) == []


def test_a_file_that_is_no_samplesheet_is_a_problem_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "sheet.yaml").write_text("- [")
    done = check(tmp_path, "--input", "sheet.yaml", params={"input": "sheet.yaml", "outdir": "r", "epochs": 0})
    assert done.returncode == 2
    assert "--epochs" in done.stderr and "sheet.yaml: Expected YAML" in done.stderr


def test_parameters_alone_can_be_checked(tmp_path: Path) -> None:
    (tmp_path / "params.json").write_text("{}")
    command = [sys.executable, str(PROGRAM), "--params", "params.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--input: missing" in done.stderr
