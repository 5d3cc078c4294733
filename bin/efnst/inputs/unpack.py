"""Unpacking of tar archives, each of which is taken for hostile.

No file is written outside the target folder, no link is ever made (what a link in the archive stands for is copied),
and an archive that unpacks to far more than its size is refused before it does.
"""

import posixpath
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from shutil import copyfileobj

from efnst.errors import EfnstError, each_read, reading

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


def is_archive(path: Path) -> bool:
    """Whether a path is named like an archive that is read here."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(
    archive: Path,
    into: Path,
    is_wanted: Callable[[str], bool],
    is_listed: Callable[[str], bool] = lambda name: False,
    hops: int = MAX_HOPS,
) -> list[str]:
    """Write the wanted files of an archive below the folder `into`; returns their names, relative to it.

    A link becomes a copy of what it stands for, at most `hops` links away. Folders that `is_listed` are made, empty or
    not.
    """
    written, links = [], []
    for name, member, file in _members(archive):
        if member.isdir() and is_listed(name):
            with reading(archive):  # a file may have this name
                (into / name).mkdir(parents=True, exist_ok=True)
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
        unpack(archive, into, missing.__contains__, hops=hops - 1)
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


def file_names(archive: Path) -> list[str]:
    """The names of the files in an archive, and of the links."""
    return [name for name, member, _ in _members(archive) if member.isreg() or member.issym() or member.islnk()]


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
