"""The folder of a reference, as it lies with users: copied, shared, with their own files in it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.records import example

from efnst.embedding.reference_folder import FORMAT, READ, digests, read_reference
from efnst.errors import EfnstError
from efnst.records.base import write_record
from efnst.records.reference import ReferenceRecord

MADE = ("space.json", "space.safetensors", "training.json", "vocabulary.json", "vocabulary.safetensors")


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """A folder with the files of a reference without images and names."""
    folder = tmp_path / "reference"
    folder.mkdir()
    for name in MADE:
        (folder / name).write_text(name)
    write_record(folder / "reference.json", example(ReferenceRecord, format=FORMAT, files=digests(folder)))
    return folder


@pytest.mark.parametrize("name", ["._space.json", "._reference.json", "notes.json", "old.safetensors", "README.md"])
def test_files_that_are_never_read_may_lie_beside(name: str, reference: Path) -> None:
    """macOS leaves `._` files beside those that it copies, and people their notes."""
    (reference / name).write_bytes(b"\x00\x05\x16\x07")
    assert set(read_reference(reference).files) == set(MADE)


def test_a_folder_may_be_called_like_a_file(reference: Path) -> None:
    (reference / "old.json").mkdir()
    assert set(read_reference(reference).files) == set(MADE)


def removed(path: Path) -> None:
    path.unlink()


def written(path: Path) -> None:
    path.write_text("{}")


def made_a_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


@pytest.mark.parametrize(
    ("name", "change", "how"),
    [
        ("space.json", removed, "is missing"),
        ("space.json", written, "was changed"),
        ("space.json", made_a_folder, "was changed"),
        *((name, change, "was added") for name in sorted({*READ} - {*MADE}) for change in (written, made_a_folder)),
    ],
)
def test_a_change_of_what_is_read_is_refused(
    name: str, change: Callable[[Path], None], how: str, reference: Path
) -> None:
    change(reference / name)
    said = f"of the reference `reference` as they were made, found that {name} {how}."
    with pytest.raises(EfnstError, match=re.escape(said)):
        read_reference(reference)


def test_what_is_no_reference(reference: Path) -> None:
    made_a_folder(reference / "reference.json")
    with pytest.raises(EfnstError, match="Expected --reference to name the folder `reference`"):
        read_reference(reference)
