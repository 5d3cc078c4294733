"""What numba compiles for UMAP is for any CPU, and what an image brings of it is used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.places import BIN

SCRIPT = """
import os
from efnst.program.any_cpu import compile_for_any_cpu
compile_for_any_cpu()
import numba
print(numba.config.CPU_NAME, repr(numba.config.CPU_FEATURES))
"""


def started(**variables: object) -> str:
    """What the script prints where these environment variables are set."""
    environment = os.environ | {"PYTHONPATH": str(BIN)} | {name: str(value) for name, value in variables.items()}
    command = [sys.executable, "-c", SCRIPT]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()


@pytest.mark.slow
def test_what_is_compiled_is_for_any_cpu_unless_somebody_says_otherwise() -> None:
    assert started() == "generic ''"
    assert started(NUMBA_CPU_NAME="skylake") == "skylake ''"


@pytest.mark.slow
def test_what_an_image_brings_is_laid_where_it_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "brought" / "umap").mkdir(parents=True)
    kept = tmp_path / "brought" / "umap" / "f.nbi"
    kept.write_bytes(b"compiled")
    kept.chmod(0o444)
    for _ in range(2):  # a second program of the task finds it there
        started(EFNST_COMPILED=tmp_path / "brought", NUMBA_CACHE_DIR=tmp_path / "task" / "numba")
    copied = tmp_path / "task" / "numba" / "umap" / "f.nbi"
    assert copied.read_bytes() == b"compiled" and copied.stat().st_mode & 0o200
