"""Archives of Space Ranger folders and deposits: what a section needs is unpacked, and nothing else."""

import posixpath
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from efnst.errors import EfnstError, reading
from efnst.inputs.deposit import is_deposit, is_named
from efnst.inputs.positions import SCALE_FACTORS
from efnst.inputs.source import CELLS
from efnst.inputs.space_ranger import (
    BIN_FOLDER,
    CELL_MATRIX_NAMES,
    CELL_OUTLINES,
    DEFAULT_BIN_UM,
    IMAGE_NAMES,
    MATRIX_NAMES,
    METRICS,
    POSITION_FILES,
    RAW_MATRIX_NAMES,
    is_outs,
)
from efnst.inputs.told import tell_as
from efnst.inputs.unpack import file_names, unpack
from efnst.inputs.visible import OF_MACOS, is_visible
from efnst.program.scratch import new_folder

COUNTS = (*MATRIX_NAMES, *CELL_MATRIX_NAMES, *RAW_MATRIX_NAMES)
IN_SPATIAL = (*POSITION_FILES, SCALE_FACTORS, *(name for names in IMAGE_NAMES.values() for name in names))


def unpack_section(archive: Path, bin_um: str) -> tuple[Path, Path]:
    """Unpack the files of one section; returns the folder they are unpacked to and the outs folder in it.

    The raw matrix is unpacked only where there is no filtered one. Names below the folder are those in the archive.
    """
    into = new_folder()
    tell_as(into, archive)
    names = unpack(archive, into, lambda name: _is_needed(name, bin_um, (MATRIX_NAMES, CELL_MATRIX_NAMES)), _is_of_bins)
    if not _has_any(names, (*MATRIX_NAMES, *CELL_MATRIX_NAMES)):
        names += unpack(archive, into, lambda name: _is_needed(name, bin_um, (RAW_MATRIX_NAMES,)), _is_of_bins)
    found = _first_below(into, lambda path: is_outs(path) and _holds_files(path))
    deposits = (
        {}
        if any(_is_whole(path.relative_to(into), names) for path in found)
        else deposits_in(archive, file_names(archive))
    )
    if len(deposits) == 1:
        outs = unpack_deposit(archive, *deposits)
        return outs, outs
    if len(found) != 1:
        held = ", ".join([path.relative_to(into).as_posix() for path in found[:4]] or list(deposits)[:4]) or "none"
        raise EfnstError(
            f"Expected one Space Ranger outs folder in {archive.name}, found {held}: pack the folder that holds "
            "spatial and filtered_feature_bc_matrix.h5, each section by itself."
        )
    return into, found[0]


def deposits_in(archive: Path, names: list[str]) -> dict[str, Path]:
    """The folders of an archive with files of these `names` that are deposits, each as an outline: without content."""
    into = new_folder()
    tell_as(into, archive)
    for name in filter(is_named, names):
        with reading(archive):  # a folder may have this name
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (into / name).touch()
    return {path.relative_to(into).as_posix(): path for path in _first_below(into, is_deposit)}


def unpack_deposit(archive: Path, name: str) -> Path:
    """Unpack one of the deposits in an archive; returns its folder."""
    into = new_folder()
    tell_as(into, archive)
    unpack(archive, into, lambda member: is_named(member) and PurePosixPath(member).is_relative_to(name))
    return into / name


def _is_whole(outs: Path, names: list[str]) -> bool:
    """Whether counts and positions are among the files of an outs folder."""
    own = [name for name in names if Path(name).is_relative_to(outs)]
    return _has_any(own, COUNTS) and _has_any(own, (*POSITION_FILES, *CELL_OUTLINES))


def _has_any(names: list[str], ends: tuple[str, ...]) -> bool:
    """Whether a file, or a folder that it lies in, has a name with one of these ends."""
    return any(part.endswith(ends) for name in names for part in name.split("/"))


def _is_of_bins(name: str) -> bool:
    """Whether a folder is one of bins, to be listed where another bin size is asked for."""
    return BIN_FOLDER.fullmatch(posixpath.basename(name)) is not None and OF_MACOS not in name.split("/")


def _is_needed(name: str, bin_um: str, matrices: tuple[tuple[str, ...], ...]) -> bool:
    """Whether a file may be one of the section's, with a matrix of the names `matrices`."""
    *folders, base = name.split("/")
    parent = folders[-1] if folders else ""
    if OF_MACOS in folders or not is_visible(base):
        return False
    if "binned_outputs" in folders:
        sizes = [int(found[1]) for folder in folders if (found := BIN_FOLDER.fullmatch(folder))]
        if bin_um == CELLS or sizes != [int(bin_um or DEFAULT_BIN_UM)]:
            return False
    if "segmented_outputs" in folders and bin_um != CELLS:
        return False
    if parent == "spatial":
        return base in IN_SPATIAL
    is_matrix = any(base.endswith(names[0]) or parent.endswith(names[1]) for names in matrices)
    return is_matrix or base == METRICS or base in CELL_OUTLINES


def _first_below(folder: Path, is_one: Callable[[Path], bool]) -> list[Path]:
    """The folders of a kind at the least depth at which there are any; what was packed by its whole path lies deep."""
    level = [folder]
    while level:
        found = [path for path in level if is_one(path)]
        if found:
            return found
        level = sorted(child for path in level for child in path.iterdir() if child.is_dir())
    return []


def _holds_files(outs: Path) -> bool:
    """Whether the folder spatial is that of a section, and not one of the user's that the section lies in."""
    spatial = outs / "spatial"
    return not spatial.is_dir() or any(path.is_file() for path in spatial.iterdir())
