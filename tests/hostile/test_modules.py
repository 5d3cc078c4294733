"""No module of Python in the current folder, which may be a stranger's, is run by any command."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.encoders import write_own_encoder
from tests.support.places import BIN, PROJECT
from torch import nn

CALLS = (  # of Python, with code that does not lie in a file
    r"""(?:\bpython3?|\$\{?python\}?|\$candidate|\$\{python:-python\})"?((?: -[A-Za-z]+)*) -(?:[cm] | )""",
    r"""sys\.executable((?:, "-[A-Za-z]+")*), "-[cm]?\"""",
)
FOLDERS = ("bin", "bench", "containers", "modules", "requirements", "tools", "assets", ".ci")
THEIRS = ("numpy", "typer", "yaml", "torch", "onnxruntime", "pip", "multiqc")


def test_python_that_is_given_code_has_no_module_from_the_current_folder() -> None:
    """Each call of Python with -c, -m or - has -I or -P."""
    files = [path for folder in FOLDERS for path in (PROJECT / folder).rglob("*") if path.is_file()]
    texts = [path.read_text(errors="ignore") for path in [PROJECT / "efnst", *files] if path.suffix != ".pyc"]
    lines = [line for text in texts for line in text.splitlines() if not line.lstrip().startswith(("#", "//", "*"))]
    calls = [(line, found) for line in lines for pattern in CALLS for found in re.findall(pattern, line)]
    assert len(calls) > 12
    assert [line for line, options in calls if not re.search("-[IP]", options)] == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an encoder, and a module for each that Python may look for, which leaves the file `ran`."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in (*sys.stdlib_module_names, *THEIRS):
        (folder / f"{name}.py").write_text("open('ran', 'a').write(__name__ + ' ')\n")
    write_own_encoder(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), folder)
    (folder / "sheet.csv").write_text("sample,section\nA1,nowhere\n")
    (folder / "parameters.json").write_text("{}")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("path", ["", ":"], ids=["", "PYTHONPATH"])
@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("samplesheet .", 2, "Expected Space Ranger outs"),
        ("check sheet.csv", 2, "found nothing at"),
        ("encoder list", 0, "H-optimus-0"),
        ("encoder check own.onnx", 0, "own"),
        ("generate --check", 0, ""),
        ("run -params-file parameters.json --input no.csv", 1, "Expected --input to name a sample"),
    ],
)
def test_modules_of_the_current_folder_are_not_run(
    folder: Path, command: str, status: int, said: str, path: str
) -> None:
    environment = os.environ | {"PYTHONPATH": path}
    options = {"cwd": folder, "env": environment, "capture_output": True, "text": True}
    done = subprocess.run([PROJECT / "efnst", *command.split()], **options)
    assert not (folder / "ran").exists(), (folder / "ran").read_text()
    assert done.returncode == status and said in done.stdout + done.stderr, done.stdout + done.stderr


@pytest.mark.slow
def test_processes_of_a_program_look_for_no_module_there(folder: Path) -> None:
    """The one that an encoder of one's own is checked in starts Python with -c."""
    command = [sys.executable, BIN / "check_encoder.py", "own.onnx"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (folder / "ran").exists(), (folder / "ran").read_text()


@pytest.mark.slow
def test_the_user_s_shell_does_not_keep_programs_from_their_library(tmp_path: Path) -> None:
    """With PYTHONSAFEPATH a script does not find what lies beside it."""
    environment = os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": str(tmp_path), "PYTHONHOME": str(tmp_path)}
    command = [PROJECT / "efnst", "explain", "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "--check" in done.stdout, done.stderr
