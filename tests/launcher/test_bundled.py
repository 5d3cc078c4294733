"""A bundle on the machine it was brought to, with stand-ins for Java and Apptainer that say how they were started."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.places import PROJECT

Bundled = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def bundle(small_project: Path) -> Path:
    """The folder that install.sh leaves, without images."""
    program = small_project / "bundled" / "bin" / "python"
    java = small_project / "bundled" / "java" / "bin" / "java"
    for path in (program, java, small_project / "conf" / "images.config"):
        path.parent.mkdir(parents=True)
    shutil.copy(PROJECT / "conf" / "images.config", small_project / "conf")
    shutil.copy(PROJECT / "containers" / "bundled_python.sh", program)
    stand_in(java, 'echo "home:$HOME" "$@"')
    program.chmod(0o755)
    return small_project


@pytest.fixture
def bundled(bundle: Path, tmp_path: Path) -> Bundled:
    """Run `FOLDER/efnst ARGUMENTS…` in `folder`, by default `tmp_path`; a variable that is None is not set."""
    (tmp_path / "commands").mkdir()
    stand_in(tmp_path / "commands" / "apptainer", 'printf "%s\\n" "$@"')

    def run(
        *arguments: str | Path, folder: Path = tmp_path, **variables: str | None
    ) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PATH": f"{tmp_path}/commands:{os.environ['PATH']}"} | variables
        environment = {name: value for name, value in environment.items() if value is not None}
        return subprocess.run(
            [bundle / "efnst", *arguments], cwd=folder, env=environment, capture_output=True, text=True
        )

    return run


def stand_in(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ((), "apptainer"),
        (("-profile", "test"), "test,apptainer"),
        (("-profile", "slurm,gpu"), "slurm,gpu,apptainer"),
        (("-profile", "slurm,singularity"), "slurm,singularity"),
        (("-profile", "docker,test"), "docker,test"),
        (("-profile", "conda"), "conda"),
    ],
)
def test_a_run_has_an_engine_whatever_else_its_profile_says(
    bundled: Bundled, given: tuple[str, ...], used: str
) -> None:
    ran = bundled("run", "--input", "sheet.csv", *given)
    assert ran.returncode == 0, ran.stderr
    words = ran.stdout.split()
    assert [words[place + 1] for place, word in enumerate(words) if word == "-profile"] == [used]
    assert ("--image_folder" in words) == ("apptainer" in used or "singularity" in used)


@pytest.mark.parametrize("home", [None, "", "/proc/nowhere"])
def test_a_home_folder_that_cannot_be_written_to_is_replaced(
    bundled: Bundled, tmp_path: Path, home: str | None
) -> None:
    ran = bundled("run", "--input", "sheet.csv", HOME=home, TMPDIR=str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    assert f"home:{tmp_path}/efnst-{os.getuid()}/home " in ran.stdout


def test_programs_see_the_folders_that_their_arguments_lie_in(bundled: Bundled, bundle: Path, tmp_path: Path) -> None:
    cohort, current = tmp_path / "co hort", tmp_path / "current"
    for folder in (cohort, current):
        folder.mkdir()
    (cohort / "sheet.csv").write_text("sample,section\n")
    for arguments in (
        ["check", "../co hort/sheet.csv"],
        ["explain", cohort],
        ["samplesheet", f"--output={cohort}/new"],
    ):
        ran = bundled(*arguments, folder=current)
        assert ran.returncode == 0, ran.stderr
        words = ran.stdout.splitlines()
        binds = {words[place + 1] for place, word in enumerate(words) if word == "--bind"}
        assert {str(bundle), str(current), str(cohort)} <= binds
        of_image = {"/", "/usr", "/etc", "/opt", "/lib", "/proc", "/dev", "/var", "/run"}
        others = {str(path) for path in Path("/").iterdir() if path.name in ("home", "media", "mnt", "srv", "data")}
        assert others <= binds and not of_image & binds
