"""What the launcher answers, and that it fetches nothing for it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.encoders import write_own_encoder
from tests.support.places import PROJECT
from torch import nn

from efnst import __version__

Efnst = Callable[..., subprocess.CompletedProcess[str]]
COMMANDS = (
    "demo",
    "run",
    "check",
    "samplesheet",
    "encoder",
    "explain",
    "test",
    "python",
    "nextflow",
    "lint",
    "generate",
    "setup",
)


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"], []])
def test_help_lists_every_command_and_fetches_nothing(efnst: Efnst, tmp_path: Path, arguments: list[str]) -> None:
    result = efnst(*arguments, EFNST_CACHE=str(tmp_path / "cache"))
    assert result.returncode == 0
    assert all(f"./efnst {command}" in result.stdout for command in COMMANDS)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("demo", "--n_domains"),
        ("run", "--n_domains"),
        ("run --input nowhere", "--n_domains"),
        ("encoder", "./efnst encoder export X"),
        ("images", "--push REGISTRY"),
        ("images docker", "--push REGISTRY"),
        ("bundle", "--images FOLDER"),
        ("test", "./efnst test [quick]"),
        ("lint", "./efnst lint"),
        ("setup", "./efnst setup"),
    ],
)
def test_help_of_a_command_makes_nothing(efnst: Efnst, tmp_path: Path, command: str, said: str, option: str) -> None:
    result = efnst(*command.split(), option, EFNST_CACHE=str(tmp_path / "cache"))
    assert result.returncode == 0 and said in result.stdout, result.stderr
    assert [path for path in tmp_path.rglob("*") if path.name != "cache"] == []


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize(
    "command",
    [
        *("check", "samplesheet", "encoder list", "encoder export", "encoder check", "match", "explain"),
        *("python", "nextflow", "generate"),
    ],
)
def test_help_of_a_program_makes_nothing(efnst: Efnst, tmp_path: Path, command: str, option: str) -> None:
    result = efnst(*command.split(), option)
    assert result.returncode == 0 and "usage: " in result.stdout.lower(), result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["demo", "run"])
def test_version_of_a_run_makes_nothing(efnst: Efnst, tmp_path: Path, command: str) -> None:
    assert efnst(command, "--version").stdout == f"efnst {__version__}\n"
    assert list(tmp_path.iterdir()) == []


def test_version_is_that_of_the_library_and_of_the_pinned_nextflow(efnst: Efnst) -> None:
    assert efnst("--version").stdout == f"efnst {__version__}, Nextflow 24.10.0\n"


def test_unknown_command_is_refused(efnst: Efnst, tmp_path: Path) -> None:
    result = efnst("rum", EFNST_CACHE=str(tmp_path / "cache"))
    assert result.returncode == 2
    assert "found `rum`" in result.stderr
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("arguments", [["encoder"], ["encoder", "exprot"]])
def test_unknown_command_of_encoders_is_refused(efnst: Efnst, tmp_path: Path, arguments: list[str]) -> None:
    result = efnst(*arguments, EFNST_CACHE=str(tmp_path / "cache"))
    assert result.returncode == 1
    assert "Expected `encoder list`, `encoder export` or `encoder check`, found `" in result.stderr
    assert not list((tmp_path / "cache").iterdir())


def test_the_recipes_are_listed(efnst: Efnst) -> None:
    result = efnst("encoder", "list")
    assert result.returncode == 0
    assert {"UNI", "H-optimus-0", "Virchow"} <= {line.split()[0] for line in result.stdout.splitlines()}


@pytest.mark.parametrize("command", ["images docker --only", "images apptainer --folder", "bundle --output"])
def test_an_option_without_a_value_is_named(efnst: Efnst, tmp_path: Path, command: str) -> None:
    result = efnst(*command.split(), EFNST_CACHE=str(tmp_path / "cache"))
    assert result.returncode == 1
    assert result.stderr == f"efnst: Expected a value after {command.split()[-1]}.\n"


def test_a_python_may_lie_in_a_folder_with_a_space(fetching: str, tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    named = tmp_path / "a b" / "python3"
    named.write_text(f'#!/bin/sh\ntouch "$0.used"\nexec {sys.executable} "$@"\n')
    named.chmod(0o755)
    script = f"{fetching}EFNST_PYTHON='{named}'; choose_python"
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "a b" / "python3.used").exists()


def test_python_that_is_missing_is_named(efnst: Efnst) -> None:
    result = efnst("setup", EFNST_PYTHON="python-of-nobody")
    assert result.returncode == 1
    assert "Expected a Python from 3.11 to 3.14, found python-of-nobody" in result.stderr


def test_cache_that_cannot_be_made_is_named(efnst: Efnst, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = efnst("setup", EFNST_CACHE=str(tmp_path / "file" / "cache"))
    assert result.returncode == 1
    assert f"found {tmp_path}/file/cache" in result.stderr


def test_without_a_home_the_cache_is_a_private_folder(fetching: str, tmp_path: Path) -> None:
    script = fetching + 'unset HOME EFNST_CACHE XDG_CACHE_HOME; choose_cache; choose_home; echo "$cache $HOME"'
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    result = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    private = tmp_path / f"efnst-{os.getuid()}"
    assert result.stdout == f"{private} {private}/home\n"
    assert private.stat().st_mode & 0o777 == 0o700
    assert f"kept in {private}; set EFNST_CACHE" in result.stderr


def test_a_folder_of_temporary_files_that_cannot_be_made_is_named(efnst: Efnst) -> None:
    result = efnst("setup", HOME="", XDG_CACHE_HOME="", EFNST_CACHE="", TMPDIR="/nowhere")
    assert result.returncode == 1
    found = f"found that /nowhere/efnst-{os.getuid()} cannot be made. Set one of them."
    assert result.stderr == f"efnst: Expected HOME or TMPDIR to name a folder that can be written to, {found}\n"


def test_commands_leave_nothing_in_the_home_folder(efnst: Efnst, space_ranger_folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    write_own_encoder(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), tmp_path)
    (tmp_path / "A1").symlink_to(space_ranger_folder)
    (tmp_path / "sheet.csv").write_text(f"sample,section\nA1,{space_ranger_folder}\n")
    for command in ("samplesheet .", "check sheet.csv --encoder_onnx own.onnx", "encoder check own.onnx"):
        result = efnst(*command.split(), HOME=str(home))
        assert result.returncode == 0, result.stderr
    assert list(home.rglob("*")) == []


def test_python_command_passes_arguments_and_status_on(efnst: Efnst) -> None:
    result = efnst("python", "-c", "import sys, efnst; print(sys.argv[1:], efnst.__version__); sys.exit(7)", "a b", "*")
    assert result.stdout == f"['a b', '*'] {__version__}\n"
    assert result.returncode == 7


def test_check_and_samplesheet_are_the_programs_with_their_arguments_and_status(efnst: Efnst, tmp_path: Path) -> None:
    result = efnst("samplesheet", str(tmp_path))
    assert result.returncode == 2 and result.stderr.startswith("find_sections: Expected Space Ranger outs")
    (tmp_path / "sheet.csv").write_text("sample,section\nA1,nowhere\n")
    result = efnst("check", str(tmp_path / "sheet.csv"))
    assert result.returncode == 2 and "row 2 (A1), column section: found nothing at" in result.stderr


def test_nextflow_runs_without_network_once_all_is_fetched(efnst: Efnst, tmp_path: Path) -> None:
    """Tasks find the environment's Python, colours stay off where nobody watches, a task's failure is the status."""
    unshare = ["unshare", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine does not let us take the network away (unshare)")
    assert efnst("setup").returncode == 0
    launcher = PROJECT / "efnst"
    for statement, status in (("import scipy, sys; print(sys.prefix)", 0), ("raise SystemExit(3)", 1)):
        script = f"process P {{\n output: stdout\n script: \"python -c '{statement}'\"\n}}\nworkflow {{ P() | view }}\n"
        (tmp_path / "main.nf").write_text(script)
        command = [*unshare, launcher, "nextflow", "run", "main.nf"]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == status, result.stdout + result.stderr
        assert "\033" not in result.stdout
        if status == 0:
            assert "/environment-" in result.stdout


WORKFLOW = """
process REPORT {
    publishDir "${params.outdir}/a_sample"
    input: path(sheet)
    output: path("report.html")
    script: "test $params.status = 0 && cp $sheet report.html || exit $params.status"
}
workflow { REPORT(file(params.input)) }
"""


@pytest.mark.parametrize("command", ["demo", "run"])
def test_demo_and_run_start_the_workflow_from_any_folder(small_project: Path, tmp_path: Path, command: str) -> None:
    """A small workflow in the place of ours and a cohort that is there already: this is about the launcher only."""
    (small_project / "main.nf").write_text(WORKFLOW)
    (tmp_path / "demo" / "cohort").mkdir(parents=True)
    (tmp_path / "demo" / "cohort" / "samplesheet.csv").write_text("sample\n")
    start = [small_project / "efnst", command, "--outdir", "else where", "--input", "demo/cohort/samplesheet.csv"]

    good = subprocess.run([*start, "--status", "0"], cwd=tmp_path, capture_output=True, text=True)
    assert good.returncode == 0, good.stdout + good.stderr
    assert (tmp_path / "else where" / "a_sample" / "report.html").read_text() == "sample\n"
    assert ("\n  else where/a_sample/report.html\n" in good.stdout) == (command == "demo")

    bad = subprocess.run([*start, "--status", "3"], cwd=tmp_path, capture_output=True, text=True)
    assert bad.returncode == 1
    assert "The reports, for a web browser" not in bad.stdout


@pytest.mark.parametrize(
    ("outdir", "is_text"),
    [
        ("10x 2024-10 1a 2024-c 2024 008 0b2 0o7 12:70 2026-1-5 1e e1 1.2.3 . +.nan a_1 y", True),
        (".inf -.INF .nan 1e3 1.0 1. .5 1.e3 007 0 0x10 0b1 1_000 12:30 12:30.5 -5 +12", False),
        ("2026-11-30 2026-11-30T10:00:00Z yes Off NO true ~ null", False),
    ],
)
def test_the_folder_of_results_in_yaml_is_known_where_it_is_text(tmp_path: Path, outdir: str, is_text: bool) -> None:
    """As YAML 1.1 has it, by which Nextflow reads a file of parameters."""
    script = f"""eval "$(sed -n '/^outdir_in()/,/^}}/p' '{PROJECT}/efnst')"
        python='{sys.executable}'
        for text; do echo "outdir: $text # here" > some.yml; outdir_in some.yml || echo unknown; done"""
    texts = outdir.split()
    told = subprocess.run(["bash", "-c", script, "", *texts], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout.split() == (texts if is_text else ["unknown"] * len(texts)), told.stderr
