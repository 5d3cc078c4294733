"""The folder of a reference: whether it is one, of this version, with its files as they were made."""

from collections.abc import Mapping
from pathlib import Path

from efnst.encoder.cache import sha256
from efnst.errors import EfnstError, reading
from efnst.records.base import read_record
from efnst.records.reference import ReferenceRecord

FORMAT = 5
REFERENCE_JSON, TRAINING_JSON = "reference.json", "training.json"
READ = (  # every other file that is read, where there is one; a folder may hold more, such as notes
    *("space.json", "space.safetensors", TRAINING_JSON, "vocabulary.json", "vocabulary.safetensors"),
    *("naming.json", "naming.safetensors", "encoder.json", "stain_reference.json"),
)


def read_reference(folder: Path, given: str = "") -> ReferenceRecord:
    """reference.json of a folder; refuses what is no reference, one of another version, or one that was changed.

    `given` is what the user calls the folder, where that is not its name.
    """
    if not (folder / REFERENCE_JSON).is_file():
        raise EfnstError(
            f"Expected --reference to name the folder `reference` of a cohort's run, found `{given or folder}`."
        )
    record = read_record(folder / REFERENCE_JSON, ReferenceRecord)
    if record.format != FORMAT:
        raise EfnstError(
            f"Expected a reference of format {FORMAT}, found format {record.format}, made by efnst "
            f"{record.versions.get('efnst', 'nobody knows which')}. Use that version, or make the reference again."
        )
    if change := _change(record.files, folder):
        raise EfnstError(
            f"Expected the files of the reference `{given or folder.name}` as they were made, found that {change}. "
            "Copy the whole folder again, or make the reference again."
        )
    return record


def require_unchanged(folder: Path, files: Mapping[str, str]) -> None:
    """Raise an EfnstError where the files of a reference have other SHA-256 than `files`, those of an earlier step."""
    if change := _change(files, folder):
        raise EfnstError(
            f"Expected the reference to stay as it is until the run ends, found that it was changed during the run: "
            f"{change}. Start the run again with -resume, and leave the folder alone meanwhile."
        )


def _change(files: Mapping[str, str], folder: Path) -> str:
    """What became of the first file whose SHA-256 is no longer that in `files`, in words; empty where all are."""
    found = digests(folder)
    changed = (name for name in sorted(files.keys() | found) if files.get(name) != found.get(name))
    name = next(changed, "")
    how = "is missing" if name not in found else "was changed" if name in files else "was added"
    return name and f"{name} {how}"


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of the files of a reference that are read, by name, but of reference.json, which holds them."""
    found = {}
    for path in (folder / name for name in READ):
        with reading(path):
            if path.exists():
                found[path.name] = sha256(path) if path.is_file() else "a folder"
    return found
