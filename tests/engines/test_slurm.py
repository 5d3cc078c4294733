"""What reaches a real Slurm; what becomes of a run whose job is killed for time, or whose node stops answering."""

import re
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
from tests.engines.test_engines import run
from tests.support.places import PROJECT

# the process of a job, less the workflows it is in
NAME = r"JobName=nf-(?:FIND_DOMAINS_)?(?:DESCRIBE_PATCHES_|LEARN_(?!EMBEDDING))?([A-Z_]+?)_\("


def jobs() -> dict[str, str]:
    """{process: what scontrol shows of its last job}."""
    shown = subprocess.run(["scontrol", "-o", "show", "jobs"], check=True, capture_output=True, text=True).stdout
    return {name.group(1): line for line in shown.splitlines() if (name := re.search(NAME, line))}


def test_cpus_memory_time_queue_and_gpu_reach_the_scheduler(place: Path, cohort: Path) -> None:
    options = ("-profile", "slurm,gpu,test", "--device", "cpu", "--queue", "debug", "-stub-run")
    run(place / "requests", cohort, *options)
    seen = jobs()
    assert {"CHECK_INPUTS", "EMBED_PATCHES", "LEARN_EMBEDDING"} <= set(seen)
    for process, job in seen.items():
        on_gpu = process in ("EMBED_PATCHES", "LEARN_EMBEDDING")
        n_cpus = 2 if process == "EMBED_PATCHES" else 1  # these sections are too small to be learned from on two
        assert f"NumCPUs={n_cpus} " in job and "Partition=debug" in job, job
        assert "TimeLimit=04:00:00" in job, job
        assert ("gres:gpu:1" in job) == on_gpu, job
        memory = int(re.search(r"MinMemoryNode=(\d+)", job).group(1)) / (
            1024 if "G" not in job.split("MinMemoryNode=")[1].split()[0] else 1
        )
        assert memory >= (4 if on_gpu else 2), job


def test_a_job_killed_for_time_is_tried_again_with_more(place: Path, cohort: Path) -> None:
    folder = place / "killed"
    folder.mkdir()
    (folder / "short.config").write_text(
        "process { withName: CHECK_INPUTS { time = { 1.min * task.attempt }\n"
        "    beforeScript = { task.attempt == 1 ? 'sleep 300' : 'true' } } }\n"
    )
    results = run(folder, cohort, "-profile", "slurm,test", "-stub-run", "-c", "short.config")
    trace = pd.read_csv(results / "pipeline_info" / "execution_trace.txt", sep="\t")
    tries = trace[trace["name"].str.startswith("CHECK_INPUTS")]
    assert list(tries["status"]) == ["FAILED", "COMPLETED"], tries


@pytest.mark.parametrize("profile", ["slurm,test"])
def test_nothing_is_lost_when_the_nodes_daemon_stops_in_mid_run(place: Path, cohort: Path, profile: str) -> None:
    folder = place / "restarted"
    folder.mkdir()
    command = [
        PROJECT / "efnst",
        "run",
        "-profile",
        profile,
        "--input",
        cohort / "samplesheet.csv",
        "--outdir",
        "results",
    ]
    with (folder / "output.txt").open("w") as output:
        started = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        while "READ_SECTION" not in (folder / "output.txt").read_text():
            assert started.poll() is None
            time.sleep(1)
        daemon = subprocess.run(["pgrep", "-x", "slurmd"], check=True, capture_output=True, text=True).stdout.split()
        subprocess.run(["kill", *daemon], check=True)
        time.sleep(20)
        subprocess.run(["slurmd"], check=True)
        assert started.wait() == 0, (folder / "output.txt").read_text()
    trace = pd.read_csv(folder / "results" / "pipeline_info" / "execution_trace.txt", sep="\t")
    assert set(trace["status"]) == {"COMPLETED"} and not trace["name"].duplicated().any()
