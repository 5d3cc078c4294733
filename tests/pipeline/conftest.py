"""The pipeline as a user starts it: real runs of Nextflow on small simulated sections, each shared by many tests."""

import csv
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.places import PROJECT

SHIPPED = ("efnst", "main.nf", "nextflow.config", "nextflow_schema.json", "assets", "bin", "conf", "modules")
QUICK = ("-profile", "standard,test")  # few epochs, few genes
# Defaults that the test profile leaves out.
GENE_SETS = PROJECT / "tests" / "support" / "simulated.gmt"
EXPORTS = ("--exports", "loupe,geojson,figures", "--umap_spots", "20000", "--gene_sets", str(GENE_SETS))
COHORT_STEPS = ("CHECK_INPUTS", "EXPORT_ENCODER", "COHORT_SUMMARY", "MULTIQC")


@dataclass(frozen=True)
class Run:
    """How a run ended: exit status, what a person saw of it, and the folder of its results."""

    status: int
    output: str
    outdir: Path

    @property
    def tasks(self) -> list[dict[str, str]]:
        """The rows of execution_trace.txt with `process` (without the workflow's name) and `tag` added."""
        with (self.outdir / "pipeline_info" / "execution_trace.txt").open() as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        for row in rows:
            row["process"], row["tag"] = re.fullmatch(r"(?:\w+:)*(\w+)(?: \((.*)\))?", row["name"]).groups()
        return rows

    def ended(self, status: str) -> set[tuple[str, str]]:
        """(process, tag) of the tasks with this status; the tag of the cohort's steps is empty."""
        return {
            (task["process"], "" if task["process"] in COHORT_STEPS else task["tag"])
            for task in self.tasks
            if task["status"] == status
        }

    @property
    def summary(self) -> dict[str, dict[str, str]]:
        """The rows of sections.csv by sample."""
        with (self.outdir / "sections.csv").open(newline="") as file:
            return {row["sample"]: row for row in csv.DictReader(file)}


Efnst = Callable[..., Run]


def assert_no_doubt(project: Path, run: Run) -> None:
    """`efnst explain` of the results takes all of them for the run's own."""
    explained = subprocess.run([project / "efnst", "explain", run.outdir], capture_output=True, text=True, check=True)
    assert "sections " in explained.stdout and "doubt" not in explained.stdout, explained.stdout


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project that tests may change; no links, because Nextflow would look behind them."""
    return copy_project(tmp_path_factory.mktemp("copy") / "project")


def copy_project(copy: Path, *more: str) -> Path:
    """The project in a new folder: what it needs to run, and `more`."""
    copy.mkdir()
    shutil.copytree(PROJECT / "requirements", copy / "requirements")
    for name in (*SHIPPED, *more):
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(PROJECT / name, copy / name)
    return copy


@pytest.fixture(scope="session")
def efnst(project: Path) -> Efnst:
    """`./efnst run OPTIONS…` of the copy of the project, started in `folder`, where .nextflow and work stay.

    `prefix` is a command that starts it.
    """
    return launcher_of(project)


def launcher_of(project: Path) -> Efnst:
    """What `efnst` is, for any copy of the project."""

    def run(folder: Path, *options: str | Path, outdir: str = "results", prefix: tuple[str, ...] = ()) -> Run:
        folder.mkdir(exist_ok=True)
        command = [*prefix, project / "efnst", "run", *options, "--outdir", outdir]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        return Run(ended.returncode, ended.stdout + ended.stderr, folder / outdir)

    return run


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated cohort of two sections with labels: samplesheet.csv, sim_layers (7 domains), sim_nested (4)."""
    return simulate(tmp_path_factory.mktemp("cohort"), sections=2, n_spots=150, seed=1)


@pytest.fixture(scope="session")
def one_section(cohort: Path) -> Path:
    """A samplesheet with `sim_layers` of the cohort alone."""
    rows = (cohort / "samplesheet.csv").read_text().splitlines()
    chosen = [row for row in rows if row.startswith(("sample,", "sim_layers,"))]
    sheet = cohort / "one.csv"
    sheet.write_text("\n".join(chosen) + "\n")
    return sheet


@pytest.fixture(scope="session")
def finished(efnst: Efnst, cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run on the cohort from nothing to reports; later runs in the same folder can resume it.

    The user's home is the folder `home` beside the results.
    """
    folder = tmp_path_factory.mktemp("finished")
    (folder / "home").mkdir()
    options = (*QUICK, *EXPORTS, "--input", cohort / "samplesheet.csv")
    run = efnst(folder, *options, prefix=("env", f"HOME={folder / 'home'}"))
    assert run.status == 0, run.output
    return run


def simulate(folder: Path, **sizes: int) -> Path:
    """Write a small cohort of these sizes into `folder`, as the program does for everybody."""
    program = [sys.executable, PROJECT / "bin" / "simulate_cohort.py", "--small", "--outdir", folder]
    options = [text for name, value in sizes.items() for text in (f"--{name}", str(value))]
    subprocess.run([*program, *options], check=True)
    return folder


def write_sheet(path: Path, *rows: dict[str, str]) -> Path:
    """A samplesheet with these rows."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="session")
def real_sections() -> Path:
    """Folder with real sections, EFNST_TEST_DATA or that of the developers."""
    folder = Path(os.environ.get("EFNST_TEST_DATA", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real sections in {folder}; EFNST_TEST_DATA names another folder")
    return folder
