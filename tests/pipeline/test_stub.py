"""-stub-run goes through the whole workflow without doing the work."""

import re
from pathlib import Path

import pytest
from tests.pipeline.conftest import PROJECT, Efnst

pytestmark = pytest.mark.slow

MODULES = (PROJECT / "modules" / "local").glob("*/main.nf")
PROCESSES = {name for module in MODULES for name in re.findall(r"^process (\w+)", module.read_text(), re.MULTILINE)}
FOR_IMAGES = {"TILE_IMAGE", "FIT_STAIN", "EXPORT_ENCODER", "QUANTISE_ENCODER", "EMBED_PATCHES"}


@pytest.mark.parametrize(("use_image", "processes"), [("true", PROCESSES), ("false", PROCESSES - FOR_IMAGES)])
def test_stub_run_goes_through_every_process(
    efnst: Efnst, cohort: Path, tmp_path: Path, use_image: str, processes: set[str]
) -> None:
    options = ("--use_image", use_image, "--stain_normalisation", "macenko", "--precision", "int8")
    run = efnst(tmp_path, "-stub-run", "--input", cohort / "samplesheet.csv", *options)
    assert run.status == 0, run.output
    assert {task["status"] for task in run.tasks} == {"COMPLETED"}
    assert {task["process"] for task in run.tasks} == processes
    assert (run.outdir / "sim_nested" / "report.html").is_file()
