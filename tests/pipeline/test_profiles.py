"""What every profile asks for every step, in one table: the stub runs with each profile's directives as Nextflow
resolved them, but with the local executor and without containers."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.pipeline.conftest import Efnst, simulate
from tests.pipeline.test_stub import ALONE

pytestmark = pytest.mark.slow

ON_GPU = {"EMBED_PATCHES", "LEARN_EMBEDDING"}
OVERLAY = """
docker.enabled = false
podman.enabled = false
apptainer.enabled = false
singularity.enabled = false
charliecloud.enabled = false
conda.enabled = false
process {
    executor = 'local'
    disk = null
    beforeScript = { 'echo "' + [task.process.tokenize(':').last(), task.accelerator?.request, task.accelerator?.type,
        task.queue, task.clusterOptions, task.containerOptions,
        task.container.replaceFirst(/:\\w+$|-\\w{12}.img$/, ''),
        task.maxRetries, task.resourceLimits ? 'this machine' : null].join('|') + '" >> TABLE' }
}
"""
SITE = ("--queue", "long", "--gpu_queue", "gpus", "--cluster_options=--account=lab", "--image_registry", "host/lab")
FILES = ("--image_folder", "/images")

# profile: options; queue, cluster options, container options, image of a CPU step; GPUs, their type, the same four of a
# GPU step; tries after the first; whether this machine's limits hold
CPU, FILE, PULLED = ("", "", "", "efnst"), ("", "", "", "/images/efnst"), "host/lab/efnst"
TABLE = {
    "debug,conda": ((), CPU, ("", "", *CPU), 2, True),
    "docker,gpu": ((), CPU, (1, "", "", "", "--gpus all", "efnst-gpu"), 2, True),
    "apptainer,gpu": (FILES, FILE, (1, "", "", "", "--nv", "/images/efnst-gpu"), 2, True),
    "charliecloud,gpu": (FILES, FILE, (1, "", "", "", "", "/images/efnst-gpu"), 2, True),
    "arm64,slurm,podman": (
        SITE,
        ("long", "--account=lab", "--platform=linux/arm64", PULLED),
        ("", "", "long", "--account=lab", "--platform=linux/arm64", PULLED),
        2,
        False,
    ),
    "slurm,podman,gpu": (
        SITE,
        ("long", "--account=lab", "", PULLED),
        (1, "", "gpus", "--account=lab --gres=gpu:1", "--device nvidia.com/gpu=all", f"{PULLED}-gpu"),
        2,
        False,
    ),
    "lsf,docker,gpu": (
        SITE,
        ("long", "--account=lab", "", PULLED),
        (1, "", "gpus", "--account=lab -gpu num=1", "--gpus all", f"{PULLED}-gpu"),
        2,
        False,
    ),
    "sge,singularity,gpu": (
        (*SITE, *FILES),
        ("long", "--account=lab", "", "/images/efnst"),
        (1, "", "gpus", "--account=lab -l gpu=1", "--nv", "/images/efnst-gpu"),
        2,
        False,
    ),
    "awsbatch,gpu": (
        SITE,
        ("long", "", "--shm-size 1g", PULLED),
        (1, "", "gpus", "", "--shm-size 1g", f"{PULLED}-gpu"),
        5,
        False,
    ),
    "google_batch,gpu": (
        SITE,
        ("long", "", "--shm-size=1g", PULLED),
        (1, "nvidia-tesla-t4", "gpus", "", "--shm-size=1g", f"{PULLED}-gpu"),
        5,
        False,
    ),
    "azure_batch,gpu": (
        SITE,
        ("long", "", "--shm-size=1g", PULLED),
        (1, "", "gpus", "", "--shm-size=1g", f"{PULLED}-gpu"),
        5,
        False,
    ),
    "k8s,gpu": (SITE, ("long", "", "", PULLED), (1, "nvidia.com/gpu", "gpus", "", "", f"{PULLED}-gpu"), 5, False),
}


@pytest.fixture(scope="module")
def tables(efnst: Efnst, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[str]]]:
    """{profile: {process: what it got}}."""
    folder = tmp_path_factory.mktemp("profiles")
    cohort = simulate(folder / "cohort", sections=1, n_spots=150, seed=1)

    def table(profile: str) -> dict[str, list[str]]:
        place = folder / profile.replace(",", "_")
        place.mkdir()
        (place / "overlay.config").write_text(OVERLAY.replace("TABLE", str(place / "table")))
        sheet = ("--input", cohort / "samplesheet.csv", "--stain_normalisation", "macenko")
        sheet += () if "gpu" in profile else ("--precision", "int8")  # which no GPU has
        run = efnst(place, "-c", "overlay.config", "-profile", profile, "-stub-run", *sheet, *TABLE[profile][0])
        assert run.status == 0, f"{profile}: {run.output}"
        rows = [line.split("|") for line in (place / "table").read_text().splitlines()]
        return {row[0]: ["" if cell == "null" else cell for cell in row[1:]] for row in rows}

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(TABLE, pool.map(table, TABLE), strict=True))


@pytest.mark.parametrize("profile", TABLE)
def test_every_step_gets_what_its_profile_says(tables: dict[str, dict[str, list[str]]], profile: str) -> None:
    _, on_cpu, on_gpu, tries, limited = TABLE[profile]
    assert set(tables[profile]) == ALONE - ({"QUANTISE_ENCODER"} if "gpu" in profile else set())
    for process, found in tables[profile].items():
        expected = on_gpu if process in ON_GPU else ("", "", *on_cpu)
        if process == "MULTIQC":
            expected = (*expected[:-1], f"{expected[-1]}-multiqc")
        end = [str(tries), "this machine" if limited else ""]
        assert found == [*map(str, expected[:-1]), expected[-1], *end], process


@pytest.mark.parametrize(
    ("profile", "folder"),
    [("standard", "/shared"), ("conda", "/shared"), ("docker", ".cache/matplotlib"), ("k8s", ".cache/matplotlib")],
)
def test_tasks_share_a_list_of_fonts_where_they_see_it(project: Path, profile: str, folder: str) -> None:
    command = [project / "efnst", "nextflow", "config", "-flat", "-profile", profile, project]
    environment = os.environ | {"MPLCONFIGDIR": "/shared"}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert f"env.MPLCONFIGDIR = '{folder}'" in shown.splitlines()
