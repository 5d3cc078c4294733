"""A section that cannot be read, and a training that is killed, are told as what they are; no terminal obeys a file."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from anndata import AnnData
from tests.support.places import BIN

from efnst.errors import EfnstError, not_allowed, reading, said_of
from efnst.inputs import find
from efnst.machine import lack_of
from efnst.program.terminal import printable

HDF5 = "Can't read data (file read failed: filename = 'a', file descriptor = 3, errno = 116, error message = 'Stale')"


def raised_from(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OSError(errno.EIO, "x"), 104),
        (RuntimeError(HDF5), 104),
        (MemoryError(), 137),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."), 137),
        (ImportError("libhdf5.so: failed to map segment from shared object"), 137),
        (ValueError("Error tokenizing data. C error: out of memory"), 137),
        (OSError(errno.ENOSPC, "x"), 175),
        (raised_from(EfnstError("Expected a readable image"), OSError(errno.ESTALE, "x")), 104),
        (raised_from(RuntimeError("x"), raised_from(KeyError("x"), MemoryError())), 137),
    ],
)
def test_what_the_machine_lacked_is_seen_through_other_errors(error: Exception, status: int) -> None:
    assert lack_of(error).status == status


@pytest.mark.parametrize(
    "error", [ValueError("found 'out of memory'"), EfnstError("found `no space left on device`"), OSError("truncated")]
)
def test_what_a_file_says_is_no_sign_of_the_machine(error: Exception) -> None:
    assert lack_of(error) is None


def test_a_file_that_may_not_be_read_is_not_damaged(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match="Expected to be allowed to read") as raised, reading(tmp_path / "a.csv"):
        raise PermissionError(errno.EACCES, "Permission denied", "a.csv")
    assert "copy the file again" not in str(raised.value)
    assert said_of(PermissionError(errno.EACCES, "", "a.csv")) == str(not_allowed("a.csv"))


@pytest.mark.parametrize("name", ["a.tar.gz", "b.h5ad", "folder"])
def test_what_cannot_be_looked_at_is_noted_and_the_search_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """I/O errors while a folder is listed or a file opened."""

    def fail(path: Path, *_: object) -> None:
        raise OSError(errno.EIO, "Input/output error", str(path))

    for each in ("a.tar.gz", "b.h5ad"):
        (tmp_path / each).write_bytes(b"x" * 100)
    (tmp_path / "folder").mkdir()
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: fail(path) if path.name == name else iterdir(path))
    for reader, ending in (("_sections_in", ".gz"), ("_holds_positions", ".h5ad")):
        if name.endswith(ending):
            monkeypatch.setattr(find, reader, fail)
    found, notes = find.find_sections(tmp_path)
    about = [note for note in notes if note.startswith(f"{tmp_path / name}: ")]
    assert found == [] and len(about) == 1
    assert about[0].startswith(f"{tmp_path / name}: left out. a file can no longer be reached")


KILLED = """
import os, signal, sys
import efnst.embedding.learn as learn
parent = os.getpid()
whole = learn.fit_space
def once(*arguments):
    if os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*arguments)
learn.fit_space = once
import learn_embedding
from efnst.program.cli import run
run(learn_embedding.main)
"""


@pytest.mark.slow
def test_a_killed_training_ends_the_step_as_killed(simulated_section: Callable[..., AnnData], tmp_path: Path) -> None:
    simulated_section(100).write_h5ad(tmp_path / "section.h5ad")
    options = ["--n_seeds", "2", "--epochs", "2", "--threads", "2", "--outdir", tmp_path, "--failures"]
    command = [sys.executable, "-c", KILLED, "--sample", "S1", "--section", tmp_path / "section.h5ad", *options]
    environment = os.environ | {"PYTHONPATH": str(BIN)}
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGKILL, done.stderr
    assert "S1: there is not enough memory (A training was killed" in done.stderr
    assert not (tmp_path / "S1").exists()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b0m\x07", "\\x9b0m\\x07"),
        ("µm\n\tä", "µm\n\tä"),
        ("\x7f", "\\x7f"),
        ("\ud800", "\\ud800"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_no_message_of_a_program_holds_an_escape(tmp_path: Path) -> None:
    """In a message, a record and a traceback."""
    script = (
        "import sys\nfrom efnst.errors import EfnstError\nfrom efnst.program.cli import run\n"
        "def main(sample: str = '', failure: str = '', bug: bool = False) -> None:\n"
        "    raise (KeyError if bug else EfnstError)('found \\x1b]0;title\\x07')\nrun(main)"
    )
    command = [sys.executable, "-c", script, "--failure", str(tmp_path / "failure.json")]
    for more in ([], ["--bug"]):
        environment = os.environ | {"PYTHONPATH": str(BIN)}
        done = subprocess.run([*command, *more], env=environment, capture_output=True, text=True)
        assert "\x1b" not in done.stderr and "x1b]0;title" in done.stderr
        assert done.returncode == len(more)
    assert "\\u001b" not in (tmp_path / "failure.json").read_text()
