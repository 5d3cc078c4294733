"""Ctrl-C, TERM and a killed Nextflow: nothing of a run is left, and -resume goes on from what was finished."""

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.launcher.conftest import small_project  # noqa: F401

pytestmark = pytest.mark.slow

# One task that is finished and one that works for long, with a child that a shell leaves alone in its background.
WORKFLOW = """
process FIRST {
    output: path "done"
    script: "touch done"
}
process LONG {
    publishDir params.outdir
    input: path "done"
    output: path "last"
    script: "touch last; (trap '' INT TERM; sleep ${params.seconds}) & sleep ${params.seconds}; wait"
}
workflow { FIRST() | LONG }
"""


def processes(mark: str) -> list[int]:
    """The processes that have this text in their environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (place / "environ").read_bytes():
                found.append(int(place.name))
        except OSError:  # it has ended, or is another user's
            continue
    return found


def wait_for(found: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.1)


def nextflow_of(launcher: int) -> int:
    """The process of Nextflow, a child of the launcher."""
    return int(Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()[0])


ENDINGS = {
    "ctrl-c": lambda launcher: os.killpg(launcher, signal.SIGINT),  # as a terminal does
    "terminated": lambda launcher: os.kill(launcher, signal.SIGTERM),
    "Nextflow killed": lambda launcher: os.kill(nextflow_of(launcher), signal.SIGKILL),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_left_and_the_run_goes_on(small_project: Path, tmp_path: Path, ending: str) -> None:  # noqa: F811
    (small_project / "main.nf").write_text(WORKFLOW)
    mark = f"EFNST_TEST_MARK={uuid.uuid4()}"
    command = [small_project / "efnst", "run", "-resume", "--outdir", "results"]
    environment = os.environ | dict([mark.split("=")])
    with (tmp_path / "output").open("w") as output:
        run = subprocess.Popen(
            [*command, "--seconds", "600"],
            cwd=tmp_path,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # whatever started these tests
        )
        wait_for(lambda: list(tmp_path.glob("work/*/*/last")), 120)
        assert len(processes(mark)) > 4
        ENDINGS[ending](run.pid)
        assert run.wait(90) != 0
    assert processes(mark) == []
    said = "this run was stopped. The same command with -resume goes on" in (tmp_path / "output").read_text()
    assert said == (ending != "Nextflow killed")
    again = subprocess.run([*command, "--seconds", "0"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stdout + again.stderr
    if ending != "Nextflow killed":  # which leaves it no time to note what is finished
        assert "Cached process > FIRST" in again.stdout and "Submitted process > LONG" in again.stdout
    assert (tmp_path / "results" / "last").exists()
