"""Archives of Space Ranger folders: what a section needs is unpacked, and nothing else.

An archive is taken for hostile: no file is written outside the target folder, no link is ever made (what a link in the
archive stands for is copied), and an archive that unpacks to far more than its size is refused before it does.
"""

import posixpath
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from shutil import copyfileobj

from efnst.errors import EfnstError, each_read, reading
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
from efnst.program.scratch import new_folder

SUFFIXES = (".tar.gz", ".tgz", ".tar")
MAX_MEMBERS = 100_000  # a run with all its images and analyses has some hundreds
HEADERS = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)
MAX_NAME_BYTES = 100_000  # of what stands before a member: its long name, and attributes
MAX_RATIO = 200  # unpacked to packed; counts and positions shrink to a tenth, images hardly
FREE_BYTES = 100_000_000  # that any archive may unpack to
MAX_HOPS = 4  # from link to link
MAX_DEPTH = 3  # of the folder outs within the archive
IN_SPATIAL = (*POSITION_FILES, SCALE_FACTORS, *(name for names in IMAGE_NAMES.values() for name in names))


def is_archive(path: Path) -> bool:
    """Whether a path is named like an archive that is read here."""
    return path.name.lower().endswith(SUFFIXES)


def unpack_section(archive: Path, bin_um: str) -> tuple[Path, Path]:
    """Unpack the files of one section; returns the folder they are unpacked to and the outs folder in it.

    The raw matrix is unpacked only where there is no filtered one. Names below the folder are those in the archive.
    """
    into = new_folder()
    names = unpack(archive, into, lambda name: _is_needed(name, bin_um, (MATRIX_NAMES, CELL_MATRIX_NAMES)))
    matrices = (*MATRIX_NAMES, *CELL_MATRIX_NAMES)
    if not any(part.endswith(matrices) for name in names for part in name.split("/")):
        unpack(archive, into, lambda name: _is_needed(name, bin_um, (RAW_MATRIX_NAMES,)))
    found = _outs_below(into)
    if len(found) != 1:
        held = ", ".join(path.relative_to(into).as_posix() for path in found[:4]) or "none"
        raise EfnstError(
            f"Expected one Space Ranger outs folder in {archive.name}, found {held}: pack the folder that holds "
            "spatial and filtered_feature_bc_matrix.h5, each section by itself."
        )
    return into, found[0]


def unpack(archive: Path, into: Path, is_wanted: Callable[[str], bool], hops: int = MAX_HOPS) -> list[str]:
    """Write the wanted files of an archive below the folder `into`; returns their names, relative to it.

    A link becomes a copy of what it stands for, at most `hops` links away.
    """
    written, links = [], []
    for name, member, file in _members(archive):
        if member.isdir() and BIN_FOLDER.fullmatch(posixpath.basename(name)):
            with reading(archive):  # a file may have this name
                (into / name).mkdir(parents=True, exist_ok=True)  # to be listed where another bin size is asked for
        if not is_wanted(name):
            continue
        if member.isreg():
            with reading(archive):
                _write(file.extractfile(member), into / name)
            written.append(name)
        elif member.issym() or member.islnk():
            links.append((name, _target(archive, name, member)))
    missing = {target for _, target in links if not (into / target).is_file()}
    if missing and hops:
        unpack(archive, into, missing.__contains__, hops - 1)
    left = _most_bytes(archive)
    for name, target in links:
        if (into / target).is_file():
            left -= (into / target).stat().st_size
            if left < 0:
                raise _too_large(archive)
            with reading(archive):  # a folder may have this name
                _write((into / target).open("rb"), into / name)
            written.append(name)
    return written


class _Member(tarfile.TarInfo):
    """A member whose long name or attributes, which are read as a whole, have a bounded size."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in HEADERS and self.size > MAX_NAME_BYTES:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(archive)


def _most_bytes(archive: Path) -> int:
    """What an archive may unpack to."""
    return max(FREE_BYTES, MAX_RATIO * archive.stat().st_size)


def _too_large(archive: Path) -> EfnstError:
    """The error for an archive that unpacks to more."""
    return EfnstError(
        f"Expected {archive.name} of {archive.stat().st_size} bytes to unpack to at most {_most_bytes(archive)} bytes "
        f"and {MAX_MEMBERS} files, found more: unpack it yourself and give the folder, if you trust it."
    )


def _members(archive: Path) -> Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]:
    """The members of an archive, in its order, with checked names and within the limits, and the open archive."""
    most, total = _most_bytes(archive), 0
    with ExitStack() as opened:
        with reading(archive):
            file = opened.enter_context(tarfile.open(archive, "r:*", tarinfo=_Member))
        for number, member in enumerate(each_read(archive, iter(file)), start=1):
            total += max(member.size, 0)
            if total > most or number > MAX_MEMBERS:
                raise _too_large(archive)
            yield _inside(archive, member.name), member, file


def _inside(archive: Path, name: str) -> str:
    """A member's name in its shortest form, which must lie inside of the target folder."""
    short = posixpath.normpath(name)
    if short.startswith(("/", "..")) or "\\" in short or "\0" in short:
        raise EfnstError(
            f"Expected {archive.name} to hold paths below its own folder, found {name[:200]!r}: do not use it."
        )
    return short


def _target(archive: Path, name: str, member: tarfile.TarInfo) -> str:
    """The name of the member that a link stands for; a symbolic link starts from its own folder."""
    start = posixpath.dirname(name) if member.issym() else ""
    target = posixpath.normpath(posixpath.join(start, member.linkname))
    if target.startswith(("/", "..")):
        raise EfnstError(
            f"Expected the link {name} in {archive.name} to lead to a file of the archive, found {member.linkname!r}: "
            "pack the folder with tar --dereference."
        )
    return target


def _write(source: object, path: Path) -> None:
    """Copy an open file to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with source, path.open("wb") as target:
        copyfileobj(source, target, 2**20)


def _is_needed(name: str, bin_um: str, matrices: tuple[tuple[str, ...], ...]) -> bool:
    """Whether a file may be one of the section's, with a matrix of the names `matrices`."""
    *folders, base = name.split("/")
    parent = folders[-1] if folders else ""
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
    """The outs folders at the least depth at which there are any."""
    level = [folder]
    for _ in range(MAX_DEPTH + 1):
        found = [path for path in level if is_outs(path)]
        if found:
            return found
        level = sorted(child for path in level for child in path.iterdir() if child.is_dir())
    return []
