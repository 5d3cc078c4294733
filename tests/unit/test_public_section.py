"""The script that fetches the public section unpacks nothing that is not what its sums say."""

import hashlib
import subprocess
import tarfile
from pathlib import Path

import pytest
from tests.support.places import PROJECT

NAME = "V1_Human_Lymph_Node"
FETCHED = [f"{NAME}_{rest}" for rest in ("filtered_feature_bc_matrix.h5", "spatial.tar.gz", "image.tif")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which all was fetched before, with its sums in `sums`."""
    fetched = tmp_path / "public_section" / "fetched"
    fetched.mkdir(parents=True)
    for name in FETCHED:
        (fetched / name).write_text(name)
    with tarfile.open(fetched / FETCHED[1], "w:gz") as archive:
        archive.add(fetched / FETCHED[0], "spatial/scalefactors_json.json")
    lines = [f"{hashlib.md5((fetched / name).read_bytes()).hexdigest()}  {name}\n" for name in FETCHED]
    (tmp_path / "sums").write_text("".join(lines))
    return tmp_path


def fetch(folder: Path, argument: str) -> subprocess.CompletedProcess:
    command = ["bash", str(PROJECT / "assets" / "public_section.sh"), argument]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_files_of_other_sums_are_not_unpacked(folder: Path) -> None:
    (folder / "public_section" / "fetched" / FETCHED[2]).write_text("another image")
    assert fetch(folder, "sums").returncode == 1 and not (folder / "public_section" / "outs").exists()
    (folder / "sums").write_text("")
    found = fetch(folder, "sums")
    assert found.returncode == 2 and f"Expected the MD5 of {FETCHED[0]}" in found.stderr


@pytest.mark.parametrize("argument", ["sums", "--unchecked"])
def test_what_was_fetched_becomes_a_section(argument: str, folder: Path) -> None:
    found = fetch(folder, argument)
    section = folder / "public_section"
    assert found.returncode == 0 and (section / "outs" / "spatial" / "scalefactors_json.json").is_file()
    assert (section / "samplesheet.csv").read_text().endswith("lymph_node,outs,image.tif,8\n")
    assert ("Nothing was checked" in found.stderr) == (argument == "--unchecked")
