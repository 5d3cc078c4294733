"""Checksums: those of sha256sum for files of usual size, bounded reading for huge ones, every file that is read."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from efnst.inputs.checksums import (
    BLOCK_BYTES,
    N_BLOCKS,
    OF_FILES,
    SAMPLED,
    WHOLE,
    WHOLE_BYTES,
    file_checksum,
    input_checksums,
)
from efnst.simulation.forms import pack


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1])
def test_small_files_have_the_checksum_that_sha256sum_prints(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    expected = {"bytes": size, "checksum": hashlib.sha256(content).hexdigest(), "method": WHOLE}
    assert file_checksum(tmp_path / "file") == expected


def test_huge_files_cost_little_and_changes_at_both_ends_and_of_size_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "slide.tif"
    size = 40 * WHOLE_BYTES  # 10 GB, of which the disk holds nothing
    with path.open("wb") as file:
        file.truncate(size)
    start = time.monotonic()
    first = file_checksum(path)
    assert time.monotonic() - start < 5
    assert first["method"] == SAMPLED and str(N_BLOCKS) in SAMPLED
    seen = {first["checksum"]}
    for position in (0, size - 1):
        with path.open("r+b") as file:
            file.seek(position)
            file.write(b"x")
        seen.add(file_checksum(path)["checksum"])
    with path.open("r+b") as file:
        file.truncate(size - 1)
    seen.add(file_checksum(path)["checksum"])
    assert len(seen) == 4


def test_every_file_that_a_section_is_read_from(space_ranger_folder: Path) -> None:
    labels = space_ranger_folder / "labels.csv"
    found = input_checksums(space_ranger_folder, "", str(labels))
    assert found["role"] == ["counts", "positions", "scale factors", "hires image", "lowres image", "labels"]
    for file, checksum in zip(found["file"], found["checksum"], strict=True):
        assert hashlib.sha256((space_ranger_folder / file).read_bytes()).hexdigest() == checksum
    without_image = input_checksums(space_ranger_folder, "none", "")
    assert without_image["role"] == ["counts", "positions", "scale factors"]


def test_a_section_in_one_file_or_zarr_is_one_row(space_ranger_folder: Path, tmp_path: Path) -> None:
    archive = pack(space_ranger_folder / "outs", tmp_path / "s.tar.gz")
    found = input_checksums(archive, "none", str(space_ranger_folder / "labels.csv"))
    assert found["role"] == ["section", "labels"] and found["file"] == ["s.tar.gz", "labels.csv"]
    assert found["checksum"][0] == hashlib.sha256(archive.read_bytes()).hexdigest()

    (tmp_path / "s.zarr" / "a").mkdir(parents=True)
    checksums = set()
    for content in (b"x", b"y"):
        (tmp_path / "s.zarr" / "a" / "0").write_bytes(content)
        found = input_checksums(tmp_path / "s.zarr", "none", "")
        assert (found["role"], found["bytes"], found["method"]) == (["section"], [1], [OF_FILES])
        checksums.add(found["checksum"][0])
    (tmp_path / "s.zarr" / "a" / "0").rename(tmp_path / "s.zarr" / "a" / "1")
    checksums.add(input_checksums(tmp_path / "s.zarr", "none", "")["checksum"][0])
    assert len(checksums) == 3
