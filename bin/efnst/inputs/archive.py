"""Archives of Space Ranger folders: what a section needs is unpacked, and nothing else."""

import posixpath
from pathlib import Path

from efnst.errors import EfnstError
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
from efnst.inputs.unpack import unpack
from efnst.inputs.visible import OF_MACOS, is_visible
from efnst.program.scratch import new_folder

IN_SPATIAL = (*POSITION_FILES, SCALE_FACTORS, *(name for names in IMAGE_NAMES.values() for name in names))


def unpack_section(archive: Path, bin_um: str) -> tuple[Path, Path]:
    """Unpack the files of one section; returns the folder they are unpacked to and the outs folder in it.

    The raw matrix is unpacked only where there is no filtered one. Names below the folder are those in the archive.
    """
    into = new_folder()
    names = unpack(archive, into, lambda name: _is_needed(name, bin_um, (MATRIX_NAMES, CELL_MATRIX_NAMES)), _is_of_bins)
    matrices = (*MATRIX_NAMES, *CELL_MATRIX_NAMES)
    if not any(part.endswith(matrices) for name in names for part in name.split("/")):
        unpack(archive, into, lambda name: _is_needed(name, bin_um, (RAW_MATRIX_NAMES,)), _is_of_bins)
    found = _outs_below(into)
    if len(found) != 1:
        held = ", ".join(path.relative_to(into).as_posix() for path in found[:4]) or "none"
        raise EfnstError(
            f"Expected one Space Ranger outs folder in {archive.name}, found {held}: pack the folder that holds "
            "spatial and filtered_feature_bc_matrix.h5, each section by itself."
        )
    return into, found[0]


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


def _outs_below(folder: Path) -> list[Path]:
    """The outs folders at the least depth at which there are any; what was packed by its whole path lies deep."""
    level = [folder]
    while level:
        found = [path for path in level if is_outs(path) and _holds_files(path)]
        if found:
            return found
        level = sorted(child for path in level for child in path.iterdir() if child.is_dir())
    return []


def _holds_files(outs: Path) -> bool:
    """Whether the folder spatial is that of a section, and not one of the user's that the section lies in."""
    spatial = outs / "spatial"
    return not spatial.is_dir() or any(path.is_file() for path in spatial.iterdir())
