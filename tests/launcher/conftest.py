"""The launcher as a user starts it, and its fetching part by itself."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.places import PROJECT


@pytest.fixture
def efnst(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `./efnst ARGUMENTS…` in `tmp_path`, with `environment` over that of the tests."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [PROJECT / "efnst", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True)

    return run


@pytest.fixture
def fetching(tmp_path: Path) -> str:
    """Bash lines that load requirements/fetch.sh with an empty cache in `tmp_path`."""
    cache = tmp_path / "cache"
    cache.mkdir()
    settings = f"set -euo pipefail; locks={PROJECT}/requirements cache={cache} python={sys.executable}"
    return f"{settings}; source $locks/fetch.sh\n"


@pytest.fixture
def small_project(tmp_path: Path) -> Path:
    """A project with our launcher and library, to be given a workflow of its own."""
    project = tmp_path / "project"
    shutil.copytree(PROJECT / "requirements", project / "requirements")
    shutil.copytree(PROJECT / "bin", project / "bin")
    shutil.copy(PROJECT / "efnst", project)
    (project / "nextflow.config").write_text("manifest {\n    version = '0.0.0'\n}\n")
    return project
