"""Seconds and memory of a program of bin/, run in a process of its own."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

BIN = Path(__file__).resolve().parents[1] / "bin"
MEASURED = """
import json, runpy, sys, time
target, *sys.argv = sys.argv[1:]
start = time.perf_counter()
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
    seconds, cpu = time.perf_counter() - start, time.process_time()
    json.dump([seconds, cpu, int(peak) * 1024 / 1e9], open(target, "w"))
"""


class Figures(NamedTuple):
    """Seconds by the clock, seconds of CPU, and the largest memory in GB."""

    seconds: float
    cpu: float
    peak: float


def measured(program: str, *arguments: object) -> Figures:
    """Run bin/`program`.py, without its messages."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", MEASURED, f"{folder}/figures", BIN / f"{program}.py", *arguments]
        subprocess.run([str(part) for part in command], check=True, stderr=subprocess.DEVNULL)
        return Figures(*json.loads(Path(folder, "figures").read_text()))
