"""The folder of a reference: whether it is one, of this version, with its files as they were made."""

from pathlib import Path

from efnst.encoder.cache import sha256
from efnst.errors import EfnstError, require_ordinary
from efnst.records.base import read_record
from efnst.records.reference import ReferenceRecord

FORMAT = 4
REFERENCE_JSON = "reference.json"
READ = (".json", ".safetensors")  # how the names of files that are read end


def read_reference(folder: Path, given: str = "") -> ReferenceRecord:
    """reference.json of a folder; refuses what is no reference, one of another version, or one that was changed.

    `given` is what the user calls the folder, where that is not its name.
    """
    if not (folder / REFERENCE_JSON).exists():
        raise EfnstError(
            f"Expected --reference to name the folder `reference` of a cohort's run, found `{given or folder}`."
        )
    record = read_record(folder / REFERENCE_JSON, ReferenceRecord)
    if record.format != FORMAT:
        raise EfnstError(
            f"Expected a reference of format {FORMAT}, found format {record.format}, made by efnst "
            f"{record.versions.get('efnst', 'nobody knows which')}. Use that version, or make the reference again."
        )
    changed = sorted(name for name, _ in record.files.items() ^ digests(folder).items())
    if changed:
        raise EfnstError(
            f"Expected the files of the reference `{given or folder.name}` as they were made, found that {changed[0]} "
            "is missing or is another. Copy the whole folder again, or make the reference again."
        )
    return record


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of the files of a reference that are read, by name, but of reference.json, which holds them."""
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in READ and path.name != REFERENCE_JSON]
    for path in paths:
        require_ordinary(path)
    return {path.name: sha256(path) for path in paths}
