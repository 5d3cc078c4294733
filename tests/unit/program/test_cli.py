"""How every program starts and ends: exit status, messages, records of failure, JSON, versions."""

import errno
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from tests.support.places import BIN, PROJECT

from efnst import __version__
from efnst.program.cli import read_json, versions, write_json
from efnst.program.imports import packages_of

pytestmark = pytest.mark.slow  # most of them start a program

PROGRAM = '''
import sys
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, {bin!r})
from efnst.errors import EfnstError
from efnst.program.cli import log, run


def main(
    sample: Annotated[str, typer.Option()] = "",
    end: Annotated[str, typer.Option(help="well, badly, bug, memory or an error number")] = "well",
    failure: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Ends as it is told."""
    log.info("working")
    if end == "badly":
        raise EfnstError("Expected this, found that, do something.")
    if end == "bug":
        raise KeyError("bug")
    if end == "memory":
        raise MemoryError
    if end.isdigit():
        raise OSError(int(end), "from the machine")


if __name__ == "__main__":
    run(main)
'''


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "some_step.py").write_text(PROGRAM.replace("{bin!r}", repr(str(PROJECT / "bin"))))
    return tmp_path / "some_step.py"


def start(program: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, program, *arguments]
    return subprocess.run(command, cwd=program.parent, capture_output=True, text=True)


def test_a_program_that_ends_well(program: Path) -> None:
    done = start(program, "--sample", "S1", "--failure", "f.json")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith(" working\n") and done.stderr.count("\n") == 1
    assert not (program.parent / "f.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"), [((), "some_step: Expected"), (("--sample", "S1"), "some_step: S1: Expected")]
)
def test_an_error_of_the_user_is_a_message_and_status_2(program: Path, arguments: tuple, message: str) -> None:
    done = start(program, "--end", "badly", *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == [message + " this, found that, do something."]


@pytest.mark.parametrize(
    "arguments", [("--sample", "S1", "--failure", "f.json"), ("--failure=f.json", "--sample=S1")], ids=["two", "one"]
)
def test_an_error_of_the_user_as_a_record(program: Path, arguments: tuple) -> None:
    done = start(program, "--end", "badly", *arguments)
    assert done.returncode == 0 and "S1: Expected this" in done.stderr
    record = json.loads((program.parent / "f.json").read_text())
    reason = "S1: Expected this, found that, do something."
    assert record == {"sample": "S1", "step": "some_step", "reason": reason}


def test_a_bug_shows_its_traceback_and_is_no_record(program: Path) -> None:
    done = start(program, "--end", "bug", "--failure", "f.json")
    assert done.returncode not in (0, 2) and "Traceback" in done.stderr and "KeyError: 'bug'" in done.stderr
    assert not (program.parent / "f.json").exists()


@pytest.mark.parametrize(
    ("end", "status"),
    [("memory", 137), (errno.ENOMEM, 137), (errno.ENOSPC, 175), (errno.EIO, 104), (errno.ESTALE, 104)],
)
def test_what_the_machine_lacked_has_a_status_that_is_tried_again(program: Path, end: object, status: int) -> None:
    done = start(program, "--end", str(end), "--failure", "f.json")
    assert done.returncode == status and "Traceback" in done.stderr
    assert not (program.parent / "f.json").exists()
    retried = (PROJECT / "conf" / "base.config").read_text()
    assert (
        status in range(130, 146) or str(status) in retried.split("task.exitStatus in ((130..145) + [")[1].split("]")[0]
    )


def test_any_other_error_of_the_system_is_a_bug(program: Path) -> None:
    done = start(program, "--end", str(errno.EINVAL))
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_an_unknown_option(program: Path) -> None:
    done = start(program, "--epoch", "3")
    assert done.returncode == 2 and "--epoch" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("path", sorted((PROJECT / "bin").glob("*.py")), ids=lambda path: path.stem)
def test_help_of_every_program(path: Path) -> None:
    assert path.stat().st_mode & 0o111, "executable"
    assert path.read_text().startswith("#!/usr/bin/env python3\n")
    done = subprocess.run([sys.executable, "-X", "importtime", path, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "Usage:" in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "scanpy", "anndata", "matplotlib", "onnxruntime"}, "help must be instant"


def test_json_has_no_infinity(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"µm": [1, 2.5, None, "×"]})
    assert read_json(tmp_path / "a.json") == {"µm": [1, 2.5, None, "×"]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "b.json", {"x": float("nan")})
    assert not (tmp_path / "b.json").exists()


def test_versions_are_those_installed() -> None:
    python = ".".join(map(str, sys.version_info[:3]))
    assert versions("numpy") == {"efnst": __version__, "python": python, "numpy": version("numpy")}


def test_versions_of_a_package_are_an_entry_of_yaml() -> None:
    command = [sys.executable, BIN / "write_versions.py", "EFNST:MULTIQC", "multiqc"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert yaml.load(done.stdout, yaml.BaseLoader) == {"EFNST:MULTIQC": versions("multiqc")}


def test_a_task_writes_the_versions_of_its_program_even_where_it_fails(tmp_path: Path) -> None:
    options = ("--process", "EFNST:READ_SECTION", "--sample", "a", "--source", "nowhere", "--failure", "failure.json")
    subprocess.run([sys.executable, BIN / "read_section.py", *options], cwd=tmp_path, check=True)
    assert read_json(tmp_path / "failure.json")["sample"] == "a"
    (found,) = yaml.load((tmp_path / "versions.yml").read_text(), yaml.BaseLoader).values()
    assert found == versions(*packages_of(BIN / "read_section.py"))
    assert {"anndata", "h5py", "numpy", "scipy"} <= set(found)


@pytest.mark.slow
def test_reading_and_describing_do_without_torch() -> None:
    """Whose import takes most programs longer than their own work."""
    script = "import sys, anndata, scanpy, sklearn.mixture; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
