"""What several tests share: a small simulated section taken through the steps, and runs whose memory is measured."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse
from tests.support.places import PROJECT, REAL
from xdist.scheduler import LoadFileScheduling

UM_PER_PX = 0.5  # of the simulated full-resolution images
# Runs a program and then writes the largest memory it ever had; ru_maxrss will not do, as it counts the parent's.
MEASURED = """
import os, runpy, sys
target, *sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    with open("/proc/self/status") as status, open(target, "w") as file:
        file.write(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""


class OneRunForAll(LoadFileScheduling):
    """Each file stays in one worker of pytest-xdist, and all files that look at the run `finished` in the same one."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "finished" if "finished: Run" in (PROJECT / file).read_text() else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    """How `./efnst test` shares out the tests; otherwise pytest-xdist decides."""
    return OneRunForAll(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever starts the launcher, a program or Nextflow counts as slow: `./efnst test quick` is for the kernels.

    Runs of the pipeline start first, as they take longest.
    """
    items.sort(key=lambda item: item.path.parent.name != "pipeline")
    for item in items:
        if item.path.parent.name in ("launcher", "programs", "pipeline", "browser"):
            item.add_marker(pytest.mark.slow)


def section_of(positions_um: np.ndarray, counts: sparse.csr_matrix, labels: np.ndarray | None = None) -> AnnData:
    """A section as read_section.py would write it, without an image."""
    obs = pd.DataFrame(index=[f"SPOT{number:06d}-1" for number in range(len(positions_um))])
    if labels is not None:
        obs["label"] = pd.Categorical(labels)
    var = pd.DataFrame(index=[f"G{number}" for number in range(counts.shape[1])])
    section = AnnData(sparse.csr_matrix(counts, dtype=np.int32), obs=obs, var=var)
    section.obsm["spatial"] = np.asarray(positions_um, float) / UM_PER_PX
    section.uns["section"] = {"sample": "S1", "um_per_px": UM_PER_PX, "bin_um": 0}
    section.uns["section"] |= {"grid": "hexagonal", "pitch_px": 100 / UM_PER_PX, "spot_diameter_px": 55 / UM_PER_PX}
    section.uns["qc"] = {"sample": "S1", "n_spots_kept": len(obs)}
    section.uns["section"]["image"] = {"source": "fullres", "file": "", "scale": 1.0, "width": 0, "height": 0}
    return section


@pytest.fixture(scope="session", autouse=True)
def no_scratch_left() -> Iterator[None]:
    """A program removes its scratch folder when it ends; the workers of pytest-xdist end without that."""
    from efnst.program.scratch import scratch_folder

    yield
    shutil.rmtree(scratch_folder())


@pytest.fixture(scope="session")
def simulated_section() -> Callable[..., AnnData]:
    """`simulated_section(n_spots, n_genes, n_regions, seed)`: a labelled section of that size, without an image."""
    from efnst.simulation.specimen import simulate_expression

    def section(n_spots: int, n_genes: int = 100, n_regions: int = 3, seed: int = 0) -> AnnData:
        positions_um, labels, counts = simulate_expression(n_spots, n_genes, n_regions, seed)
        made = section_of(positions_um, counts, labels)
        made.var["gene_ids"] = made.var_names.to_numpy()
        return made

    return section


@pytest.fixture(scope="session")
def real_section() -> Callable[[str], Path]:
    """`real_section(name)`: the folder of a real section; the test is skipped where it is not there."""

    def folder(name: str) -> Path:
        if not (REAL / name).is_dir():
            pytest.skip(f"no real section {name}: set EFNST_TEST_DATA")
        return REAL / name

    return folder


@pytest.fixture(scope="session")
def run_program() -> Callable[..., subprocess.CompletedProcess]:
    """`run_program(name, *arguments)`: a program of bin/ as its own process; its output is kept."""

    def run(name: str, *arguments: object, **options: object) -> subprocess.CompletedProcess:
        command = [sys.executable, PROJECT / "bin" / name, *arguments]
        return subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)

    return run


@pytest.fixture(scope="session")
def described_section(
    run_program: Callable[..., subprocess.CompletedProcess], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Folder with what the steps before the report leave for `sim_layers`, small, with image and labels; its Space
    Ranger folder is sim_layers in it. Not to be changed."""
    folder = tmp_path_factory.mktemp("described")

    def step(name: str, *arguments: object) -> None:
        done = run_program(f"{name}.py", *arguments, "--outdir", folder)
        assert done.returncode == 0, done.stderr

    outs, named = folder / "sim_layers", ("--sample", "sim_layers")
    step("simulate_cohort", "--sections", 1, "--small")
    step("read_section", *named, "--source", outs, "--labels", outs / "labels.csv")
    section = "--section", folder / "section.h5ad"
    step("tile_image", *named, *section, "--source", outs)
    step("learn_embedding", *named, *section, "--n_seeds", 2, "--epochs", 5)
    for name in ("embedding.npz", "training.json"):
        (folder / "sim_layers" / name).rename(folder / name)
    learned = "--embedding", folder / "embedding.npz", "--training", folder / "training.json"
    step("assign_domains", *named, *section, *learned, "--n_domains", 4)
    step("describe_domains", *named, "--domains", folder / "sim_layers.h5ad")
    return folder


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., tuple[int, str]]:
    """`start(main, *arguments)`: status and messages of a program, as from the command line but in this process."""
    from efnst.program.cli import run

    def in_this_process(main: Callable[..., None], *arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [f"{main.__module__}.py", *map(str, arguments)])
        monkeypatch.setenv("PYTHONSAFEPATH", "")  # as before, when `run` has set it
        try:
            run(main)
            status = 0
        except SystemExit as end:
            status = end.code or 0
        return status, capsys.readouterr().err

    return in_this_process


@pytest.fixture
def run_measured(tmp_path: Path) -> Callable[..., float]:
    """`run_measured(name, *arguments)`: the largest memory in GB that a program of bin/ had; it must succeed."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the memory of a process is read from /proc, which this system has not")

    def run(name: str, *arguments: object) -> float:
        program = [PROJECT / "bin" / name, *arguments]
        command = [sys.executable, "-c", MEASURED, tmp_path / "memory", *program]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return int((tmp_path / "memory").read_text()) * 1024 / 1e9

    return run


@pytest.fixture(scope="session")
def simulated_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """`simulated_folder(number)`: a section of a small cohort as simulate_cohort.py writes it, made once; not to be
    changed. 0: layers, 1: nested, 2: mixed."""
    from efnst.simulation.space_ranger import SMALL, section_name, simulate_section, write_section

    cohort = tmp_path_factory.mktemp("cohort")

    def folder(number: int) -> Path:
        path = cohort / section_name(number)
        if not path.exists():
            write_section(simulate_section(number, 0, SMALL), path)
        return path

    return folder


@pytest.fixture(scope="session")
def space_ranger_folder(simulated_folder: Callable[[int], Path]) -> Path:
    """A small simulated section with a hires image and labels, not to be changed."""
    return simulated_folder(0)


@pytest.fixture(scope="session")
def section_file(space_ranger_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """section.h5ad of that section."""
    import read_section

    outdir = tmp_path_factory.mktemp("read")
    labels = str(space_ranger_folder / "labels.csv")
    read_section.main(sample="S1", source=space_ranger_folder, labels=labels, outdir=outdir)
    return outdir / "section.h5ad"


@pytest.fixture(scope="session")
def patches_file(section_file: Path, space_ranger_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """patches.h5 of that section, with image_qc.json beside it."""
    import tile_image

    outdir = tmp_path_factory.mktemp("tiled")
    tile_image.main(sample="S1", section=section_file, source=space_ranger_folder, outdir=outdir)
    return outdir / "patches.h5"


@pytest.fixture(scope="session")
def lite0_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """encoder.onnx of efficientnet-lite0 with its ImageNet weights, with encoder.json beside it."""
    import export_encoder

    outdir = tmp_path_factory.mktemp("exported")
    export_encoder.main(outdir=outdir)
    return outdir / "encoder.onnx"


@pytest.fixture(scope="session")
def features_file(patches_file: Path, lite0_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """features.npz of that section, with features.json beside it."""
    import embed_patches
    from efnst.encoder.options import FeatureOptions

    outdir = tmp_path_factory.mktemp("embedded")
    files = {"patches": [patches_file], "encoder": lite0_file, "outdir": outdir}
    embed_patches.main(sample=["S1"], **files, options=FeatureOptions(device="cpu"))
    return outdir / "S1" / "features.npz"


@pytest.fixture(scope="session")
def embedding_file(section_file: Path, features_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """embedding.npz of that section after two trainings of 30 epochs, with training.json beside it."""
    import learn_embedding
    from efnst.embedding.options import DeviceOptions, TrainingOptions

    outdir = tmp_path_factory.mktemp("learned")
    options = {"training": TrainingOptions(n_seeds=2, epochs=30), "where": DeviceOptions(device="cpu")}
    files = {"section": [section_file], "features": [str(features_file)], "outdir": outdir}
    learn_embedding.main(sample=["S1"], **files, **options)
    return outdir / "S1" / "embedding.npz"
