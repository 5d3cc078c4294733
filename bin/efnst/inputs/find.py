"""Sections below a folder, as rows of a samplesheet."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import h5py

from efnst.errors import EfnstError, reading, said_of
from efnst.inputs.aggregated import libraries
from efnst.inputs.anndata_zarr import has_images, is_anndata_zarr
from efnst.inputs.archive import deposits_in
from efnst.inputs.deposit import counts_alone, is_deposit, parts_of, samples, says_of
from efnst.inputs.hdf5 import opened
from efnst.inputs.image_choice import known_picture
from efnst.inputs.positions import SCALE_FACTORS
from efnst.inputs.space_ranger import BIN_FOLDER, DEFAULT_BIN_UM, IMAGE_NAMES, bin_folders, find_files, is_outs
from efnst.inputs.told import told
from efnst.inputs.unpack import file_names, is_archive
from efnst.inputs.visible import is_visible, visible
from efnst.machine import lack_of
from efnst.names import NO_IMAGE
from efnst.program.spreadsheets import harmless

MAX_DEPTH = 8
PASSED_OVER = ("work", "node_modules", "__pycache__")
IMAGE_SUFFIXES = (".tif", ".tiff", ".btf", ".svs", ".ndpi", ".jpg", ".jpeg")
IMAGE_FOLDERS = (".", "fullres", "image", "images")
LABELS = "labels.csv"
PARTS = ("spatial", "binned_outputs", "segmented_outputs", "analysis", "cell_segmentation")
SAY_NOTHING = ("outs", "count", "spaceranger", "binned_outputs", "spatial")


@dataclass(frozen=True)
class Found:
    """One section: a row of the samplesheet, and what is to be said about it."""

    sample: str
    section: Path
    image: Path | str = ""
    labels: Path | str = ""
    bin_um: str = ""
    library: str = ""
    note: str = ""


def find_sections(folder: Path) -> tuple[list[Found], list[str]]:
    """Sections below `folder`, by their path, and notes about folders that look like one and are none."""
    if not folder.is_dir():
        raise EfnstError(f"Expected a folder to look for sections in, found none at {folder}: check the path.")
    found, notes, described = [], [], {}
    for path, reason in _candidates(folder, MAX_DEPTH, set()):
        try:
            if reason:
                raise EfnstError(reason)
            with told(path):
                described[path] = _described(path)
        except Exception as error:
            notes.append(f"{path}: left out. {said_of(error)}")
    taken: set[str] = set()
    for path, name in _names(list(described), folder).items():
        found += [Found(_unique(_of_several(name, about), taken), path, **about) for about in described[path]]
    return found, notes


def rows(found: list[Found], base: Path) -> list[list[str]]:
    """The samplesheet, names of columns first; paths are relative to `base` where they lie below it."""
    columns = ["sample", "section", "image", "labels", "bin_um", "library"]
    used = [name for name in columns if name in columns[:2] or any(getattr(section, name) for section in found)]
    return [used, *([_cell(getattr(section, name), base) for name in used] for section in found)]


def _candidates(folder: Path, depth: int, seen: set[Path]) -> Iterator[tuple[Path, str]]:
    """What looks like a section, in the order of names, and what was not looked into, with the reason.

    Sections are looked into for others, but not what Space Ranger writes within one, and nothing twice: `seen` are
    the places that links led to, too.
    """
    seen.add(folder.resolve())
    children, is_section, reason = _looked_into(folder)
    if is_section or reason:
        yield folder, reason
    parts = parts_of(folder) if is_section else set()
    if depth == 0 and any(path.is_dir() for path in children):
        yield folder, f"Its folders lie more than {MAX_DEPTH} deep: give one nearer to them."
    for path in children if depth else ():
        if not is_visible(path.name) or (path.is_symlink() and not path.exists()) or path.resolve() in seen:
            continue
        if path in parts:
            continue
        if path.is_dir() and not path.name.lower().endswith(".zarr"):
            if path.name in PASSED_OVER:
                yield path, f"Folders called {path.name} are not looked into."
            elif not ((is_section or reason) and _is_part(path)):
                yield from _candidates(path, depth - 1, seen)
        elif _is_in_one(path):
            seen.add(path.resolve())
            yield path, _why_none(path)


def _is_in_one(path: Path) -> bool:
    """Whether a file or zarr is named as one that holds a section."""
    return is_archive(path) or path.suffix in (".h5ad", ".zarr")


def _looked_into(folder: Path) -> tuple[list[Path], bool, str]:
    """What a folder holds, by name, links last, whether it is a section, and why it cannot be looked into."""
    try:
        children = sorted(folder.iterdir(), key=lambda path: (path.is_symlink(), path))
        for child in children[:1]:
            child.lstat()  # a folder may be listed, and its content out of reach
        is_section = bool(children) and _is_section(folder)
        alone = "" if is_section or not children else counts_alone(folder)
        lacking = "a list of positions (tissue_positions.csv) or a folder spatial of the same section"
        return children, is_section, f"It holds {alone} without {lacking} beside it." if alone else ""
    except OSError as error:
        return [], False, said_of(error)


def _is_part(folder: Path) -> bool:
    """Whether a folder is one that Space Ranger writes within a section."""
    is_bins = BIN_FOLDER.fullmatch(folder.name) is not None
    return is_bins or folder.name in PARTS or folder.name.endswith(("_bc_matrix", "_cell_matrix"))


def _why_none(path: Path) -> str:
    """Why a file or zarr that may be a section is none; empty where it is one."""
    if path.suffix == ".zarr":
        is_one = ((path / "tables").is_dir() and (path / "shapes").is_dir()) or is_anndata_zarr(path)
        return "" if is_one else "It is no SpatialData with tables and shapes and no AnnData."
    is_h5ad = path.suffix == ".h5ad"
    lacking = "It has no obsm['spatial']" if is_h5ad else f"It holds no spatial/{SCALE_FACTORS}"
    try:
        with reading(path):
            holds = _holds_positions(path) if is_h5ad else _sections_in(path)
            return "" if holds else f"{lacking}, or cannot be read."
    except Exception as error:
        if lack_of(error) or isinstance(error.__cause__, PermissionError):
            return said_of(error)
        if not isinstance(error, EfnstError):
            raise
        return f"{lacking}, or cannot be read."


def _is_section(folder: Path) -> bool:
    """Whether a folder looks like one of Space Ranger, with its matrix or with bins."""
    return is_deposit(folder) or (
        is_outs(folder) and (bool(visible(folder, "*feature_bc_matrix*")) or bool(bin_folders(folder)))
    )


def _sections_in(archive: Path) -> dict[str, tuple[bool, bool]]:
    """The sections of an archive by name, an empty one where it holds one, each with whether it has images, and scales.

    By the names of its files; none where it holds no section.
    """
    names = file_names(archive)
    deposits = deposits_in(archive, names)
    said = says_of(*deposits.values()) if len(deposits) == 1 else {}
    pictures = {name: ("images" in says, "scales" in says) for name, says in said.items()}
    if pictures:
        return pictures if len(pictures) > 1 else {"": next(iter(pictures.values()))}
    in_spatial = {"/".join(name.split("/")[-2:]) for name in names}
    has_images = any(f"spatial/{name}" in in_spatial for name in chain(*IMAGE_NAMES.values()))
    return {"": (has_images, True)} if f"spatial/{SCALE_FACTORS}" in in_spatial else {}


def _holds_positions(path: Path) -> bool:
    """Whether an .h5ad file has positions."""
    with opened(path) as file:
        obsm = file.get("obsm")
        names = obsm.dtype.names if isinstance(obsm, h5py.Dataset) else obsm  # the former before anndata 0.7
        return not {"spatial", "X_spatial"}.isdisjoint(names or ())


def _described(path: Path) -> list[dict[str, Path | str]]:
    """The further columns of the section at `path`, or of each of several: image, labels, bin size and library."""
    if _is_in_one(path):
        held = {_plain(library): pictures for library, pictures in _pictures_in(path).items()}
        return [_beside(path, library, list(held), *pictures) for library, pictures in held.items()]
    held = [_plain(library) for library in _libraries(path)]
    return [_columns(path, library, held) for library in held]


def _pictures_in(path: Path) -> dict[str, tuple[bool, bool]]:
    """Whether each of the sections of a file or zarr has images, and scale factors; see `sections_of`."""
    if path.suffix == ".h5ad":
        from efnst.inputs.h5ad import sections_of

        return sections_of(path)
    if is_archive(path):
        return _sections_in(path)
    is_pictured = has_images(path) if is_anndata_zarr(path) else any(found.is_dir() for found in path.glob("images/*"))
    return {"": (is_pictured, True)}


def _plain(library: str) -> str:
    """The name of a section, refused where it would be something else in the samplesheet."""
    if harmless(library) != library or not library.isprintable():
        raise EfnstError(
            f"Expected sections with plain names, found {library[:40]!r}: give it in a row of yours, as COLUMN=VALUE."
        )
    return library


def _libraries(folder: Path) -> list[str]:
    """The sections of a folder of several by name; an empty name where it holds one."""
    if is_deposit(folder):
        held = samples(folder)
        return held if len(held) > 1 else [""]
    return libraries(folder) or [""]


def _columns(path: Path, library: str, held: list[str]) -> dict[str, Path | str]:
    """The further columns of one section of a folder with the sections `held`."""
    sizes = sorted(bin_folders(path))
    bin_um = str(DEFAULT_BIN_UM if DEFAULT_BIN_UM in sizes else sizes[-1]) if sizes else ""
    files = find_files(path, bin_um, library)
    return {"bin_um": bin_um} | _beside(path, library, held, bool(files.images), bool(files.scale_factors))


def _beside(path: Path, library: str, held: list[str], has_images: bool, has_scales: bool) -> dict[str, Path | str]:
    """What lies beside one of the sections `held` at `path`, or in it, and what is to be said about its images.

    Files side by side have those images that are named after them, and no labels.
    """
    home = path.parent if path.name == "outs" or _is_in_one(path) else path
    names = [_stem(each.name) for each in visible(home) if _is_in_one(each)] if _is_in_one(path) else []
    is_one_of_several = len(names) > 1 and not library
    name, held = (_stem(path.name), names) if is_one_of_several else (library, held)
    images = [
        image
        for folder in IMAGE_FOLDERS
        if (home / folder).is_dir()
        for image in visible(home / folder)
        if image.suffix.lower() in IMAGE_SUFFIXES and _owner(image, held) == name and not known_picture(image)
    ]
    image = images[0] if len(images) == 1 else "" if has_images and has_scales else NO_IMAGE
    note = f"{len(images)} images, none of them was taken" if len(images) > 1 else ""
    if image == NO_IMAGE and has_images:
        note = f"without {'scale factors' if _is_in_one(path) else SCALE_FACTORS} its image was not taken"
    labels = home / LABELS if (home / LABELS).is_file() and not name else ""
    return {"image": image, "labels": labels, "library": library, "note": note}


def _owner(image: Path, held: list[str]) -> str:
    """The section with the longest name that that of an image starts with; empty where there is none."""
    return max(
        (name for name in held if name and re.match(rf"{re.escape(name)}[._-]", image.name)), key=len, default=""
    )


def _of_several(name: str, about: dict[str, Path | str]) -> str:
    """The name of a section, after that of what holds it where it holds several."""
    library = about.get("library", "")
    return f"{name}_{_allowed(library)}" if library else name


def _names(paths: list[Path], top: Path) -> dict[Path, str]:
    """A name for each section: of its last folder that says something, with those above it where names are the same."""
    parts = {path: _telling(path, top) for path in paths}
    n_parts = dict.fromkeys(paths, 1)
    for _ in range(MAX_DEPTH):
        names = {path: "_".join(parts[path][-n_parts[path] :]) for path in paths}
        times = Counter(name.lower() for name in names.values())
        for path, name in names.items():
            n_parts[path] += times[name.lower()] > 1
    taken: set[str] = set()
    return {path: _unique(name, taken) for path, name in names.items()}


def _telling(path: Path, top: Path) -> list[str]:
    """The folders down to a section without those that say nothing, letters and digits as a sample may have."""
    parts = [part for part in path.relative_to(top).parts if part.lower() not in SAY_NOTHING]
    return [_allowed(_stem(part)) for part in parts or [top.resolve().name]]


def _stem(name: str) -> str:
    """A name without the ending of what holds a section."""
    return re.sub(r"\.(tar\.gz|tgz|tar|h5ad|zarr)$", "", name, flags=re.IGNORECASE)


def _allowed(name: str) -> str:
    """A name with the letters and digits that one of a sample may have."""
    return re.sub(r"^__+", "_", re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".-")) or "section"


def _unique(name: str, taken: set[str]) -> str:
    """`name`, with a number where it is taken; upper and lower case count as the same."""
    number = 1
    while (unique := name if number == 1 else f"{name}_{number}").lower() in taken:
        number += 1
    taken.add(unique.lower())
    return unique


def _cell(value: Path | str, base: Path) -> str:
    """A value as it stands in the samplesheet."""
    if isinstance(value, str):
        return value
    inside = os.path.relpath(value, base)
    path = str(value.resolve()) if inside.startswith("..") else inside
    return path if harmless(path) == path else f"./{path}"
