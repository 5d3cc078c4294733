"""Programs of bin/ run in processes of their own, and what they take in seconds and memory."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

BIN = Path(__file__).resolve().parents[1] / "bin"
MEASURED = """
import json, resource, runpy, sys, time
target, *sys.argv = sys.argv[1:]
start = time.perf_counter()
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    own = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
    forked = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds, cpu = time.perf_counter() - start, time.process_time() + forked.ru_utime + forked.ru_stime
    json.dump([seconds, cpu, max(int(own), forked.ru_maxrss) * 1024 / 1e9], open(target, "w"))
"""


class Figures(NamedTuple):
    """Seconds by the clock, seconds of CPU with those of workers, and the memory of the largest process in GB."""

    seconds: float
    cpu: float
    peak: float


class ProgramError(RuntimeError):
    """A program ended with an error: the last line that it printed."""


def program(name: str, *arguments: object) -> None:
    """Run bin/`name`.py, without its messages."""
    _run(BIN / f"{name}.py", *arguments)


def measured(name: str, *arguments: object) -> Figures:
    """The same, and what it took."""
    return measured_script(BIN / f"{name}.py", *arguments)


def measured_script(script: Path, *arguments: object, python: str = sys.executable) -> Figures:
    """Run any script, with the Python of any environment, and what it took."""
    with tempfile.TemporaryDirectory() as folder:
        _run("-c", MEASURED, f"{folder}/figures", script, *arguments, python=python)
        return Figures(*json.loads(Path(folder, "figures").read_text()))


def _run(*arguments: object, python: str = sys.executable) -> None:
    """Run Python; of its messages the last one is told where it fails."""
    command = [python, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise ProgramError((done.stderr.strip().splitlines() or [f"{command} ended with {done.returncode}"])[-1])
