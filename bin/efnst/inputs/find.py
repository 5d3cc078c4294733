"""Sections below a folder, as rows of a samplesheet."""

import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py

from efnst.errors import UNREADABLE, EfnstError
from efnst.inputs.archive import is_archive
from efnst.inputs.positions import SCALE_FACTORS
from efnst.inputs.space_ranger import DEFAULT_BIN_UM, bin_folders, find_files, is_outs
from efnst.names import NO_IMAGE

MAX_DEPTH = 8
PASSED_OVER = ("work", "node_modules", "__pycache__")
IMAGE_SUFFIXES = (".tif", ".tiff", ".btf", ".svs", ".ndpi", ".jpg", ".jpeg")
IMAGE_FOLDERS = (".", "fullres", "image", "images")
LABELS = "labels.csv"


@dataclass(frozen=True)
class Found:
    """One section: a row of the samplesheet, and what is to be said about it."""

    sample: str
    section: Path
    image: Path | str = ""
    labels: Path | str = ""
    bin_um: str = ""
    note: str = ""


def find_sections(folder: Path) -> tuple[list[Found], list[str]]:
    """Sections below `folder`, by their path, and notes about folders that look like one and are none."""
    if not folder.is_dir():
        raise EfnstError(f"Expected a folder to look for sections in, found none at {folder}: check the path.")
    found, notes, taken = [], [], set()
    for path in _candidates(folder, MAX_DEPTH):
        try:
            section = _described(path)
        except EfnstError as error:
            notes.append(f"{path}: left out. {error}")
            continue
        name = _unique(_name(path, folder), taken)
        taken.add(name.lower())
        found.append(Found(name, path, **section))
    return found, notes


def rows(found: list[Found], base: Path) -> list[list[str]]:
    """The samplesheet, names of columns first; paths are relative to `base` where they lie below it."""
    columns = ["sample", "section", "image", "labels", "bin_um"]
    used = [name for name in columns if name in columns[:2] or any(getattr(section, name) for section in found)]
    return [used, *([_cell(getattr(section, name), base) for name in used] for section in found)]


def _candidates(folder: Path, depth: int) -> Iterator[Path]:
    """Folders and files that look like a section, in the order of their names, not looking into sections."""
    if _is_section(folder):
        yield folder
        return
    if depth == 0:
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in PASSED_OVER or (path.is_symlink() and not path.exists()):
            continue
        if path.is_dir():
            if path.name.endswith(".zarr"):
                if (path / "tables").is_dir() and (path / "shapes").is_dir():
                    yield path
            else:
                yield from _candidates(path, depth - 1)
        elif (is_archive(path) and _holds_section(path)) or (path.suffix == ".h5ad" and _holds_positions(path)):
            yield path


def _is_section(folder: Path) -> bool:
    """Whether a folder looks like one of Space Ranger, with its matrix or with bins."""
    return is_outs(folder) and (any(folder.glob("*feature_bc_matrix*")) or bool(bin_folders(folder)))


def _holds_section(archive: Path) -> bool:
    """Whether an archive holds the scale factors of a section; damaged archives hold none."""
    try:
        with tarfile.open(archive, "r:*") as file:
            return any(member.name.endswith(f"spatial/{SCALE_FACTORS}") for member in file)
    except UNREADABLE:
        return False


def _holds_positions(path: Path) -> bool:
    """Whether an .h5ad file has positions."""
    try:
        with h5py.File(path) as file:
            obsm = file.get("obsm")
            return isinstance(obsm, h5py.Group) and "spatial" in obsm
    except UNREADABLE:
        return False


def _described(path: Path) -> dict[str, Path | str]:
    """The further columns of a section: image, labels and bin size, where there are any."""
    if not path.is_dir() or path.suffix == ".zarr":
        return {}
    sizes = sorted(bin_folders(path))
    bin_um = str(DEFAULT_BIN_UM if DEFAULT_BIN_UM in sizes else sizes[-1]) if sizes else ""
    files = find_files(path, bin_um)
    home = path.parent if path.name == "outs" else path
    images = [
        image
        for name in IMAGE_FOLDERS
        if (home / name).is_dir()
        for image in sorted((home / name).iterdir())
        if image.suffix.lower() in IMAGE_SUFFIXES
    ]
    image = images[0] if len(images) == 1 else "" if files.images else NO_IMAGE
    note = f"{len(images)} images, none of them was taken" if len(images) > 1 else ""
    labels = home / LABELS if (home / LABELS).is_file() else ""
    return {"image": image, "labels": labels, "bin_um": bin_um, "note": note}


def _name(path: Path, top: Path) -> str:
    """A name for a section from the last folder that says more than `outs`; letters and digits as a sample may have."""
    parts = [part for part in path.resolve().relative_to(top.resolve()).parts if part != "outs"] or [top.resolve().name]
    base = re.sub(r"\.(tar\.gz|tgz|tar|h5ad|zarr)$", "", parts[-1], flags=re.IGNORECASE)
    return re.sub(r"[^A-Za-z0-9._-]+", "_", base).lstrip(".-") or "section"


def _unique(name: str, taken: set[str]) -> str:
    """`name`, with a number where it is taken; upper and lower case count as the same."""
    number = 1
    while (unique := name if number == 1 else f"{name}_{number}").lower() in taken:
        number += 1
    return unique


def _cell(value: Path | str, base: Path) -> str:
    """A value as it stands in the samplesheet."""
    if isinstance(value, str):
        return value
    inside = os.path.relpath(value, base)
    return str(value.resolve()) if inside.startswith("..") else inside
