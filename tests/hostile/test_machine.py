"""A machine that fails is not taken for a damaged file: reads, memory and writes fail on purpose (faulty.c)."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.support.places import BIN, PROJECT

from efnst.simulation.forms import pack, to_anndata, write_spatialdata

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a program whose reads, writes and memory can be made to fail."""
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    library = tmp_path_factory.mktemp("faulty") / "faulty.so"
    source = Path(__file__).with_name("faulty.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True)
    return os.environ | {"LD_PRELOAD": str(library), "PYTHONPATH": f"{BIN}:{PROJECT}", "PYTHONWARNINGS": "ignore"}


@pytest.fixture(scope="module")
def inputs(space_ranger_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a section in every form, images in every format, and labels large enough to need memory."""
    folder = tmp_path_factory.mktemp("inputs")
    outs = shutil.copytree(space_ranger_folder / "outs", folder / "outs")
    pack(outs, folder / "packed.tar.gz")
    to_anndata(outs).write_h5ad(folder / "annotated.h5ad")
    write_spatialdata(outs, folder / "spatial.zarr")
    lines = (f"ACGTACGTACGT{number:06d}-1,label {number % 7}\n" for number in range(100_000))
    (folder / "labels.csv").write_text("barcode,label\n" + "".join(lines))
    pixels = np.random.default_rng(0).integers(0, 255, (1200, 1200, 3), dtype=np.uint8)
    tifffile.imwrite(folder / "image_tiled.tif", pixels, tile=(256, 256), compression="deflate")
    tifffile.imwrite(folder / "image_plain.tif", pixels)
    Image.fromarray(pixels).save(folder / "image.jpg", progressive=True)
    Image.fromarray(pixels).save(folder / "image.png")
    return folder


@pytest.mark.parametrize("kind", ["reads", "memory"])
def test_what_the_machine_did_is_not_said_of_the_file(faulty: dict[str, str], inputs: Path, kind: str) -> None:
    command = [sys.executable, "-m", "tests.hostile.failing_machine", inputs, kind]
    done = subprocess.run(command, env=faulty, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    told = Counter(line.rpartition(": ")[2] == "told" for line in lines)
    wrong = [line for line in lines if not line.endswith((": told", ": read"))]
    assert not wrong
    assert told[True] > 60, "the failures were not made"
    if kind == "reads":
        assert told[False] == 0, "what could not be read was used"


@pytest.mark.parametrize(("program", "writes"), [("read_section", "section.h5ad"), ("tile_image", "patches.h5")])
def test_a_full_disk_is_told(
    faulty: dict[str, str], section_file: Path, space_ranger_folder: Path, tmp_path: Path, program: str, writes: str
) -> None:
    given = [] if program == "read_section" else ["--section", section_file]
    command = [sys.executable, BIN / f"{program}.py", "--sample", "S1", "--source", space_ranger_folder, *given]
    command += ["--outdir", tmp_path, "--failure", tmp_path / "failure.json"]
    for good in (0, 2):
        full = {"FAULTY_WRITE": writes, "FAULTY_ERRNO": "28", "FAULTY_AFTER": str(good)}
        done = subprocess.run(command, env=faulty | full, capture_output=True, text=True)
        assert done.returncode == 175, done.stderr
        assert f"{program}: S1: the disk is full, or the quota is used up (" in done.stderr
        assert not (tmp_path / "failure.json").exists()
