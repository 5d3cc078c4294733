#!/usr/bin/env python3
"""Whole runs of the pipeline: seconds by the clock, CPU and memory of every step, and the share that is Nextflow's.

    ./efnst python bench/pipeline.py [--input samplesheet.csv …] [--simulated 200] [--spots 1000] [-- --n_domains 7 …]

Prints a table for each run, in Markdown: of each samplesheet given, and with --simulated of so many simulated
sections. What follows `--` are parameters of the runs. Run it with a warm cache (`./efnst setup`) and nothing else.
"""

import argparse
import csv
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from programs import program

LAUNCHER = Path(__file__).resolve().parents[1] / "efnst"
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
SIZES = {"KB": 1e-6, "MB": 1e-3, "GB": 1.0}
EVERY = 0.5  # seconds between looks at the head process


class Task(NamedTuple):
    """One task of a run: its process, seconds by the clock, seconds of CPU, memory in GB."""

    process: str
    seconds: float
    cpu: float
    peak: float


class Run(NamedTuple):
    """A run: its tasks, seconds by the clock and of CPU in all, memory of Nextflow in GB, GB of its work folder."""

    tasks: list[Task]
    seconds: float
    cpu: float
    head: float
    work: float


def seconds_of(text: str) -> float:
    """A duration of Nextflow's trace, such as `1m 33s`."""
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h|d)", text))


def size_of(text: str) -> float:
    """A size of Nextflow's trace in GB; 0 for a task too short to be looked at."""
    found = re.fullmatch(r"([\d.]+) (KB|MB|GB)", text)
    return float(found[1]) * SIZES[found[2]] if found else 0.0


def tasks_of(trace: Path) -> list[Task]:
    """The tasks of execution_trace.txt."""
    with trace.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [
        Task(
            row["name"].split(" ")[0].split(":")[-1],
            seconds := seconds_of(row["realtime"]),
            seconds * float(row["%cpu"].rstrip("%") or 0) / 100 if row["%cpu"] != "-" else 0.0,
            size_of(row["peak_rss"]),
        )
        for row in rows
    ]


def head_memory() -> float:
    """The most memory that a Java process below this one has had so far, in GB."""
    found = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            facts = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:  # it has ended
            continue
        if facts["Name"].strip() == "java" and "VmHWM" in facts and is_ours(int(facts["PPid"])):
            found = max(found, int(facts["VmHWM"].split()[0]))
    return found / 1e6


def is_ours(pid: int) -> bool:
    """Whether a process is this one or below it."""
    while pid > 1:
        if pid == os.getpid():
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False


def measure(sheet: Path, options: list[str], folder: Path) -> Run:
    """Run the pipeline on a samplesheet, with results and work in `folder`."""
    command = [LAUNCHER, "run", "--input", sheet, "--outdir", folder / "results", "-work-dir", folder / "work"]
    before, start, head = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), 0.0
    with (folder / "log").open("w") as log:
        started = subprocess.Popen([*map(str, command), *options], stdout=log, stderr=log, cwd=folder)
        while started.poll() is None:
            head = max(head, head_memory())
            time.sleep(EVERY)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if started.returncode:
        sys.exit((folder / "log").read_text()[-3000:])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    work = sum(path.lstat().st_size for path in (folder / "work").rglob("*")) / 1e9
    return Run(tasks_of(folder / "results" / "pipeline_info" / "execution_trace.txt"), seconds, cpu, head, work)


def table(name: str, run: Run) -> str:
    """A run in Markdown."""
    by_process = defaultdict(list)
    for task in run.tasks:
        by_process[task.process].append(task)
    heads = ["step", "tasks", "s by the clock, mean", "CPU s, all", "largest GB"]
    lines = [f"### {name}", "", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for process, tasks in by_process.items():
        mean, cpu = sum(task.seconds for task in tasks) / len(tasks), sum(task.cpu for task in tasks)
        lines.append(f"| {process} | {len(tasks)} | {mean:.1f} | {cpu:.0f} | {max(task.peak for task in tasks):.2f} |")
    of_tasks = sum(task.cpu for task in run.tasks)
    return "\n".join(
        [
            *lines,
            f"| all | {len(run.tasks)} | {run.seconds:.0f} in all | {run.cpu:.0f} | |",
            "",
            f"Nextflow and the starting of tasks: {max(run.cpu - of_tasks, 0) / run.cpu:.0%} of the CPU time; "
            f"its memory {run.head:.2f} GB; work folder {run.work:.2f} GB.",
            "",
        ]
    )


def main() -> None:
    """Measure all runs."""
    arguments, options = sys.argv[1:], []
    if "--" in arguments:
        arguments, options = arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, nargs="*", default=[], help="samplesheets")
    parser.add_argument("--simulated", type=int, default=0, help="sections of a simulated cohort")
    parser.add_argument("--spots", type=int, default=1000, help="spots of each of them")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        sheets = {path.stem: path.resolve() for path in given.input}
        if given.simulated:
            cohort = Path(scratch) / "cohort"
            size = f"--sections={given.simulated}", f"--n_spots={given.spots}"
            program("simulate_cohort", f"--outdir={cohort}", *size)
            sheets[f"{given.simulated} simulated sections"] = cohort / "samplesheet.csv"
        for number, (name, sheet) in enumerate(sheets.items()):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            print(table(name, measure(sheet, options, folder)), flush=True)


if __name__ == "__main__":
    main()
