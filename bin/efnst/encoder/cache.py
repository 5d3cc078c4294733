"""Exported encoders kept in a folder that runs share, under names made from everything that decides their content."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from efnst.errors import EfnstError
from efnst.program.cli import log, read_json, write_json

NEEDED = {"encoder.onnx", "encoder.json"}
DIGESTS = "sha256.json"  # of all other files of an entry: what it must hold to be used
CODE = (
    *("cost.py", "declaration.py", "efficientnet.py", "external.py", "own.py", "precision.py"),
    "../records/encoder.py",
)


def cached(cache: Path, identity: dict, export: Callable[[Path], None], outdir: Path) -> bool:
    """Put the encoder of `identity` into `outdir`, from the folder `cache` or by `export(folder)`; whether it was kept.

    `identity` names weights by digest, options and versions; the code that exports is added. Entries appear under
    their name only when complete, so that programs that export at once do not disturb each other; an entry whose
    files do not have their digests is made again.
    """
    entry = cache / f"encoder-{_key(identity)}"
    found = _is_intact(entry)
    if not found:
        _make(cache, entry, export)
    outdir.mkdir(parents=True, exist_ok=True)
    for name in read_json(entry / DIGESTS):
        shutil.copyfile(entry / name, outdir / name)
    return found


def _key(identity: dict) -> str:
    """A name for `identity` and the code that exports."""
    code = [hashlib.sha256((Path(__file__).parent / name).read_bytes()).hexdigest() for name in CODE]
    return hashlib.sha256(json.dumps([identity, code], sort_keys=True).encode()).hexdigest()[:32]


def _make(cache: Path, entry: Path, export: Callable[[Path], None]) -> None:
    """Export into a folder beside `entry` and give it that name; what lies there already was found damaged."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{entry.name}.", dir=cache))
    except OSError as error:
        raise EfnstError(
            f"Expected encoder_cache to be a folder that can be written to, found `{cache}` ({error.strerror}). "
            "Give another folder with --encoder_cache, or none."
        ) from error
    made = folder / "encoder"  # mkdtemp makes folders that only their owner can read
    try:
        made.mkdir()
        export(made)
        write_json(made / DIGESTS, {path.name: sha256(path) for path in sorted(made.iterdir())})
        if entry.exists() and not _is_intact(entry):
            log.info("the encoder in %s is damaged and is made again", entry)
            os.rename(entry, folder / "damaged")
        _rename(made, entry)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rename(folder: Path, entry: Path) -> None:
    """Give the complete `folder` the name `entry`, unless another program was faster."""
    try:
        os.rename(folder, entry)
    except OSError:
        if not _is_intact(entry):
            raise


def _is_intact(entry: Path) -> bool:
    """Whether the files of `entry` are those that were written."""
    try:
        digests = read_json(entry / DIGESTS)
        return digests.keys() >= NEEDED and digests == {name: sha256(entry / name) for name in digests}
    except (AttributeError, OSError, ValueError):
        return False


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
