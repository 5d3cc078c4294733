"""What is wrong with the parameters or the samplesheet is said at once, before any section is read."""

import json
import os
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


def test_a_run_that_runs_nothing_leaves_the_record_of_the_results(
    efnst: Efnst, project: Path, one_section: Path, tmp_path: Path
) -> None:
    """Nextflow's own reports are left by a start without a samplesheet and by one that only shows something."""
    good = efnst(tmp_path, "-stub-run", "--input", one_section)
    assert good.status == 0, good.output
    info = good.outdir / "pipeline_info"
    own = {path: path.read_bytes() for path in info.iterdir() if path.suffix}
    assert {"parameters.json", "sections.json", "run.json", "execution_trace.txt"} <= {path.name for path in own}
    assert efnst(tmp_path, "--input", tmp_path / "no.csv").status != 0
    for option in ("--help", "--version"):
        command = [project / "efnst", "nextflow", "run", project / "main.nf", option, "--outdir", "results"]
        subprocess.run(command, cwd=tmp_path, check=True)
    assert [path.name for path, content in own.items() if not path.exists() or path.read_bytes() != content] == []
    assert efnst(tmp_path, "--input", one_section, "--seed", "7", "--n_domians", "5").status != 0
    assert efnst(tmp_path, "--input", one_section, "--seed", "7", "--gene_sets", tmp_path).status != 0
    records = [path for path in own if path.suffix == ".json"]
    assert [path.name for path in records if path.read_bytes() != own[path]] == []
    shown = efnst(tmp_path, "-preview", "--input", one_section, outdir="preview")
    assert shown.status == 0 and "report is" not in shown.output and not (shown.outdir / "multiqc_report.html").exists()


@pytest.mark.parametrize(("option", "shown"), [("--help", "--n_domains"), ("--version", f"efnst {__version__}")])
def test_help_and_version_are_shown_and_nothing_is_left(project: Path, tmp_path: Path, option: str, shown: str) -> None:
    command = [project / "efnst", "nextflow", "run", project / "main.nf", option]  # `efnst run` answers by itself
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


def started(project: Path, folder: Path, *options: str, **environment: str) -> str:
    """What `./efnst run OPTIONS…` says, without any further option; it has to fail."""
    write_sheet(folder / "sheet.csv", {"sample": "a", "section": "nowhere"})
    command = [project / "efnst", "run", "--input", "sheet.csv", *options]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, **environment})
    assert ended.returncode != 0
    return words(ended.stdout + ended.stderr)


def test_text_that_looks_like_a_number_stays_text(project: Path, tmp_path: Path) -> None:
    """Nextflow would make 7 of 007, and fail with an internal error over a folder that is a number."""
    started(project, tmp_path, "--outdir", "2024", "--ignore_labels", "007", "--expression_rep", "1e3", "--epochs=-5")
    assert {path.name for path in (tmp_path / "2024" / "pipeline_info").glob("*.json")} == set(), "nothing was run"
    (given,) = tmp_path.glob("work/*/*/parameters.json")
    ran = json.loads(given.read_text())
    assert (ran["outdir"], ran["ignore_labels"], ran["expression_rep"]) == ("2024", "007", "1e3")


def test_numbers_for_text_in_a_file_of_parameters(project: Path, tmp_path: Path) -> None:
    given = {"outdir": 2024, "ignore_labels": 7, "qc_rules": 1, "gene_sets": 44, "encoder_onnx": 1, "reference": 2023}
    written = json.dumps(given | {"multiqc_title": 'm/n, "ignore_labels": 007'}, indent="\t")
    (tmp_path / "parameters.json").write_text(written.replace("/", "\\/"))
    said = started(project, tmp_path, "-params-file", "parameters.json")
    assert all(f"parameter --{name}: found `{given[name]}`, which does not exist" in said for name in list(given)[2:5])
    assert "found `2023`, which does not exist" in said and "internal" not in said and "main.nf at line" not in said


def test_a_number_in_json_that_is_spelt_another_way(project: Path, tmp_path: Path) -> None:
    (tmp_path / "some.json").write_text('{\n\t"outdir":\t1e2, "multiqc_title": 1.50, "qc_rules": "multiqc_title: 4"}')
    said = started(project, tmp_path, "-params-file", "some.json")
    assert "parameter --outdir: found `1e2`, which Nextflow read as the number 1E+2;" in said
    assert "multiqc_title" not in said


NO_TEXT = """
outdir: {outdir}
ignore_labels: [undetermined, background]
gene_sets: {{a: b}}
multiqc_title: 1.50 # was multiqc_title: 1.5
# options:
expression_rep: 007
encoder_cache: 7
# encoder_cache: 007
encoder_output: "encoder_cache: 007"
qc_rules: !!set {{a, b}}
encoder_onnx: !!binary aGk=
"""


@pytest.mark.parametrize(
    ("outdir", "said"),
    [
        ("2026-11-30", "found the date 2026-11-30, expected text; write it in quotes"),
        ("[1, 2]", "found a list (1,2 would be its values as one text), expected text"),
        ("007", "found `007`, which Nextflow read as the number 7"),
        ("", "found nothing, expected a value"),
    ],
)
def test_what_is_no_text_in_a_file_of_parameters(project: Path, tmp_path: Path, outdir: str, said: str) -> None:
    """It was taken as Groovy writes it, in place of the text that somebody meant."""
    (tmp_path / "my parameters.yml").write_text(NO_TEXT.format(outdir=outdir))
    found = started(project, tmp_path, "-params-file", "my parameters.yml")
    assert f"parameter --outdir: {said}" in found
    assert "parameter --ignore_labels: found a list (undetermined,background would be its values as one text)" in found
    assert "parameter --gene_sets: found a map (a), expected text; write it in quotes" in found
    assert "parameter --multiqc_title: found `1.50`, which Nextflow read as the number 1.5;" in found
    assert "parameter --expression_rep: found `007`, which Nextflow read as the number 7;" in found
    assert "parameter --qc_rules: found a list (a,b would be its values as one text), expected text" in found
    assert "parameter --encoder_onnx: found a byte[], expected text; write it in quotes" in found
    assert "encoder_cache" not in found
    made = {path.name for path in tmp_path.iterdir()} - {"sheet.csv", "my parameters.yml", ".nextflow", "work", "7"}
    assert made == logs(tmp_path)


def test_an_option_of_text_without_a_value_is_named(project: Path, tmp_path: Path) -> None:
    said = started(project, tmp_path, "--qc_rules", "--outdir")
    for name in ("qc_rules", "outdir"):
        assert f"parameter --{name}: found true (an option without a value arrives as true), expected a value" in said
    assert "parameter --outdir: found nothing, expected a value" in started(project, tmp_path, "--outdir=")
    assert {path.name for path in tmp_path.iterdir()} <= {"sheet.csv", ".nextflow", "work"} | logs(tmp_path)


def logs(folder: Path) -> set[str]:
    """The names of Nextflow's logs."""
    return {path.name for path in folder.glob(".nextflow.log*")}


def test_text_that_nextflow_changed_is_refused(project: Path, tmp_path: Path) -> None:
    """Started without the launcher, Nextflow makes numbers of such texts."""
    changed = {"ignore_labels": ("007", "7"), "expression_rep": ("010", "10"), "multiqc_title": ("1.50", "1.5;")}
    options = [f"--{name}={text}" for name, (text, _) in changed.items()]
    said = started(project, tmp_path, *options, "--outdir", "2024", NXF_DISABLE_PARAMS_TYPE_DETECTION="")
    for name, (text, number) in changed.items():
        assert f"parameter --{name}: found `{text}`, which Nextflow read as the number {number}" in said
    assert "--outdir" not in said
