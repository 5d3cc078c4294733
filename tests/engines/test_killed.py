"""`kill -9` of Nextflow at random moments, then -resume: the same results, and what was finished is not done again."""

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

from tests.engines.test_engines import SAMPLES, run
from tests.hostile.test_signals import nextflow_of
from tests.support.places import PROJECT

KILLS = 10


def test_a_run_killed_ten_times_ends_as_one_that_was_not(place: Path, cohort: Path) -> None:
    profile = ("-profile", "standard,test")
    whole = run(place / "whole", cohort, *profile)
    seconds = int((place / "whole" / "seconds.json").read_text())
    folder = place / "stopped"
    folder.mkdir()
    options = ["run", *profile, "-resume", "--input", cohort / "samplesheet.csv", "--outdir", "results"]
    finished: set[str] = set()
    for kill in range(KILLS):
        started = subprocess.Popen([PROJECT / "efnst", *options], cwd=folder, stdout=subprocess.DEVNULL)
        time.sleep(random.Random(kill).uniform(6, max(12, min(25, seconds / 3))))
        os.kill(nextflow_of(started.pid), signal.SIGKILL)
        started.wait()
        log = (folder / ".nextflow.log").read_text()
        again = finished & set(re.findall(r"Submitted process > (.+)", log))
        assert not again, f"finished before and done again: {again}"
        finished |= set(re.findall(r"Task completed > TaskHandler\[.*? name: (.+?); status: COMPLETED; exit: 0", log))
    results = run(folder, cohort, *profile, "-resume")
    log = (folder / ".nextflow.log").read_text()
    assert finished <= set(re.findall(r"Cached process > (.+)", log))
    for sample in SAMPLES:
        assert (results / sample / "domains.csv").read_bytes() == (whole / sample / "domains.csv").read_bytes()
