"""The simulated cohort with every container engine, here and under Slurm, as root and as an ordinary user."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score
from tests.engines.conftest import UNPACKED
from tests.pipeline.conftest import simulate
from tests.support.places import PROJECT

USER = "efnst-tester"
CONFIG_IMAGES = re.findall(r" = '(efnst(?:-multiqc)?:\w+)'", (PROJECT / "conf" / "images.config").read_text())
SAMPLES = ("sim_layers", "sim_nested")
RUNS = [
    ("docker", "root"),
    ("podman", "root"),
    ("apptainer", "root"),
    ("charliecloud", "root"),
    ("slurm,podman", "root"),
    ("slurm,apptainer", "root"),
    ("apptainer", USER),
    ("podman", USER),
    ("slurm,apptainer", USER),
]


def run(folder: Path, cohort: Path, *options: object, user: str = "root", efnst: Path = PROJECT) -> Path:
    """The pipeline with few epochs, started in `folder` by `user`; the folder of its results."""
    folder.mkdir(exist_ok=True)
    command = [efnst / "efnst", "run", "--input", cohort / "samplesheet.csv", "--outdir", "results", *options]
    environment = dict(os.environ) | {"USER": user}  # as a login sets it; Charliecloud asks for it
    if user != "root":
        subprocess.run(["chown", user, folder], check=True)
        environment |= {"HOME": f"/home/{user}", "XDG_RUNTIME_DIR": f"/home/{user}"}
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command]
    started = time.monotonic()
    ended = subprocess.run([str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True)
    (folder / "output.txt").write_text(ended.stdout + ended.stderr)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (folder / "seconds.json").write_text(json.dumps(round(time.monotonic() - started)))
    return folder / "results"


@pytest.fixture(scope="module")
def large_cohort(place: Path) -> Path:
    """Two simulated sections of real size."""
    return simulate(place / "large_cohort", sections=2, n_spots=1800, seed=1)


@pytest.fixture(scope="module")
def docker_run(place: Path, cohort: Path, images: Path) -> Path:
    return engine_run(place, cohort, images, "docker", "root", PROJECT)


def engine_run(place: Path, cohort: Path, images: Path, profile: str, user: str, efnst: Path) -> Path:
    by_file = {"apptainer", "charliecloud"} & set(profile.split(","))
    folder = place / f"{profile.replace(',', '_')}_{user}"
    options = ["-profile", f"{profile},test", "--exports", "loupe,geojson,figures"]
    options += (
        ["--image_folder", images.with_name(UNPACKED) if profile == "charliecloud" else images] if by_file else []
    )
    if user != "root":
        subprocess.run(["useradd", "--create-home", USER], capture_output=True)
    if (profile, user) == ("podman", USER):
        give_images_to_user()
    return run(folder, cohort, *options, user=user, efnst=efnst)


def give_images_to_user() -> None:
    """Podman keeps images for each user apart."""
    listed = subprocess.run(
        ["podman", "images", "--format", "{{.Repository}}:{{.Tag}}"], capture_output=True, text=True
    )
    for name in CONFIG_IMAGES:
        assert f"localhost/{name}" in listed.stdout
        load = f"setpriv --reuid={USER} --regid={USER} --init-groups env HOME=/home/{USER} podman load"
        subprocess.run(f"cd /home/{USER}; podman save localhost/{name} | {load}", shell=True, check=True)


@pytest.mark.parametrize(("profile", "user"), RUNS)
def test_the_cohort_runs_and_its_results_are_the_same(
    request: pytest.FixtureRequest,
    place: Path,
    cohort: Path,
    images: Path,
    docker_run: Path,
    profile: str,
    user: str,
) -> None:
    # an ordinary user cannot read root's cache, and runs what was installed for all from the bundle
    efnst = PROJECT if user == "root" else request.getfixturevalue("bundle")
    results = docker_run if (profile, user) == RUNS[0] else engine_run(place, cohort, images, profile, user, efnst)
    assert (results / "multiqc_report.html").stat().st_size > 100_000
    for sample in SAMPLES:
        table = (results / sample / "domains.csv").read_bytes()
        assert table == (docker_run / sample / "domains.csv").read_bytes(), "the same images give the same bytes"
        assert (results / sample / "report.html").stat().st_size > 50_000
    trace = pd.read_csv(results / "pipeline_info" / "execution_trace.txt", sep="\t")
    assert set(trace["status"]) == {"COMPLETED"}


def test_docker_finds_the_domains_of_the_local_run(place: Path, large_cohort: Path, images: Path) -> None:
    """Other libraries round differently, which is why the promise is no identity (docs/method.md)."""
    found = [
        run(place / f"large_{profile}", large_cohort, "-profile", profile, "--exports", "none")
        for profile in ("standard", "docker")
    ]
    for sample in SAMPLES:
        here, there = (pd.read_csv(results / sample / "domains.csv")["domain"] for results in found)
        assert adjusted_rand_score(here, there) >= 0.98, sample


COMPILED = """
import os, pathlib, numpy
from efnst.program.any_cpu import compile_for_any_cpu
compile_for_any_cpu()
from efnst.domains.layout import umap_layout
kept = pathlib.Path(os.environ["NUMBA_CACHE_DIR"])
before = {path.name for path in kept.rglob("*.nbc")}
umap_layout(numpy.random.default_rng(1).normal(size=(200, 25)), 0)
print(len(before) > 50, {path.name for path in kept.rglob("*.nbc")} - before)
"""


def test_umap_is_compiled_in_the_image(images: Path) -> None:
    (image,) = (name for name in CONFIG_IMAGES if name.startswith("efnst:"))
    command = ["podman", "run", "--rm", "--volume", f"{PROJECT}:{PROJECT}", "--env", f"PYTHONPATH={PROJECT}/bin"]
    done = subprocess.run([*command, image, "python3", "-c", COMPILED], capture_output=True, text=True)
    assert done.stdout.strip() == "True set()", done.stdout + done.stderr
