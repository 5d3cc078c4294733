"""What these tests need is started by install.sh; they run with `./efnst test engines` only, as root on Debian."""

import os
import subprocess
from pathlib import Path

import pytest
from tests.pipeline.conftest import simulate
from tests.support.places import PROJECT

LAB = Path(os.environ.get("SLURM_LAB", "/tmp/efnst-lab"))
UNPACKED = "unpacked_images"  # Charliecloud's, beside the files of Apptainer
collect_ignore_glob = [] if os.environ.get("EFNST_ENGINES") else ["test_*.py"]


@pytest.fixture(scope="session", autouse=True)
def installed() -> None:
    subprocess.run(["bash", Path(__file__).with_name("install.sh")], check=True, stdin=subprocess.DEVNULL)
    os.environ["CONTAINERS_CONF"] = str(LAB / "containers.conf")


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that every user can write to, outside of root's."""
    folder = LAB / "runs" / str(os.getpid())
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    return folder


@pytest.fixture(scope="session")
def cohort(place: Path) -> Path:
    """Two simulated sections of 300 spots."""
    return simulate(place / "cohort", sections=2, n_spots=300, seed=1)


@pytest.fixture(scope="session")
def images(installed: None) -> Path:
    """The images in every form: of Docker, of Podman, as files and as folders (EFNST_BASE: what they start from)."""
    base = Path(os.environ.get("EFNST_BASE", LAB / "base.tar"))
    if not base.exists():
        include = "--include=ca-certificates,procps,python3,python3-venv"
        mirror = subprocess.run(
            "apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' | sort -u | head -n 1",
            shell=True,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        subprocess.run(["mmdebstrap", "--variant=minbase", include, "trixie", base, mirror], check=True)
    for engine, folder in {"podman": "images", "apptainer": "images", "charliecloud": UNPACKED}.items():
        command = [PROJECT / "efnst", "images", engine, "--base", base, "--folder", LAB / folder]
        subprocess.run(command, check=True)
    for image in subprocess.run(
        ["podman", "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=efnst*:????????????"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split():
        name = image.removeprefix("localhost/")
        if subprocess.run(["docker", "image", "inspect", name], capture_output=True).returncode:
            subprocess.run(f"podman save {image} | docker load && docker tag {image} {name}", shell=True, check=True)
    return LAB / "images"


@pytest.fixture(scope="session")
def bundle(images: Path, place: Path) -> Path:
    """What `./efnst bundle` packed, installed where every user can read it."""
    subprocess.run([PROJECT / "efnst", "bundle", "--images", images, "--output", place / "efnst.tar"], check=True)
    subprocess.run(["tar", "-C", place, "-xf", place / "efnst.tar"], check=True)
    unpacked = next(place.glob("efnst-*"))
    subprocess.run([unpacked / "install.sh", place / "installed"], check=True)
    subprocess.run(["rm", "-r", unpacked], check=True)
    return place / "installed"
