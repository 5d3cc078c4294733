"""Folders as public deposits have them: names with the sample in front, files packed by gzip, no folder spatial.

The folders spatial and filtered_feature_bc_matrix may have the sample in front, too, or be packed by tar, as GEO has
them. A folder of Space Ranger in which some of the files are packed, as those that 10x offers are when they have been
downloaded, is one, too. The sample may stand behind the names, where no positions are called otherwise.
"""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from efnst.errors import EfnstError, damaged, reading
from efnst.inputs.feature_matrix import listing
from efnst.inputs.links import require_inside
from efnst.inputs.told import tell_as
from efnst.inputs.unpack import SUFFIXES, is_archive, unpack
from efnst.inputs.visible import OF_MACOS, is_visible, visible
from efnst.program.scratch import new_folder

# What each file is, by its name and how that ends, where Space Ranger has it, and what it says of a section.
MATRIX_FOLDER = "filtered_feature_bc_matrix"
TAR = "|".join(map(re.escape, SUFFIXES))
ALL_COUNTS, ALL_SPATIAL = {"counts", "barcodes", "features"}, {"positions", "scales", "images"}
PLACES = (
    (r"tissue_positions(_list)?", r"\.(csv|parquet)", "spatial", {"positions"}),
    (r"scalefactors_json", r"\.json", "spatial", {"scales"}),
    (r"tissue_(hires|lowres)_image", r"\.(png|jpg|jpeg)", "spatial", {"images"}),
    (r"(filtered|raw)_feature_bc_matrix", r"\.h5", ".", ALL_COUNTS),
    (r"matrix", r"\.mtx", MATRIX_FOLDER, {"counts"}),
    (r"barcodes", r"\.tsv", MATRIX_FOLDER, {"barcodes"}),
    (r"(features|genes)", r"\.tsv", MATRIX_FOLDER, {"features"}),
    (r"(filtered|raw)_feature_bc_matrix", r"/", ".", ALL_COUNTS),
    (r"metrics_summary", r"\.csv", ".", {"metrics"}),
    (r"spatial", rf"/|{TAR}", "spatial", ALL_SPATIAL),
    (r"(filtered|raw)_feature_bc_matrix", TAR, MATRIX_FOLDER, ALL_COUNTS),
)
IN_FRONT, BEHIND = (
    [
        (
            re.compile(rf"(?!\.)(?P<front>(.*[._-])?)(?P<stem>{stem})(?P<behind>{more})(?P<end>{end})(?P<gz>\.gz)?"),
            *about,
        )
        for stem, end, *about in PLACES
    ]
    for more in ("", r"([._-].+?)?")
)
FOLDERS = re.compile(r"(^|[._-])(spatial|((filtered|raw)_)?feature_bc(_matrix)?|filtered|raw)$")  # before a file's name
SEPARATORS = "._-"
AGGREGATED = "aggr_"  # in front of the positions of several sections, which spaceranger aggr writes
BLOCK_BYTES = 10_000_000
MAX_BYTES = 4_000_000_000  # that a file may unpack to


@dataclass(frozen=True)
class Part:
    """A file or folder of a section, by its name.

    `name` and `place`: what Space Ranger calls it, and where it has it; `says`: what is in it; `sample`: the name in
    front or behind; `holder`: the folder of a sample's positions and images that it lies in, where it does.
    """

    path: Path
    sample: str
    name: str
    place: str
    says: frozenset[str]
    is_gz: bool
    holder: Path | None = None

    @property
    def is_packed(self) -> bool:
        """Whether it is packed by gzip or tar."""
        return self.is_gz or is_archive(self.path)

    @property
    def is_usual(self) -> bool:
        """Whether it lies where and as it is read in a folder of Space Ranger; a matrix may have a name in front."""
        is_plain = not self.is_packed and (self.path.name == self.name.rstrip("/") or "counts" in self.says)
        is_there = (self.path.parent.name == "spatial") == (self.place == "spatial")
        return is_plain and is_there and self.place in (".", "spatial") and self.holder is None

    @property
    def what(self) -> frozenset[str]:
        """What it says, each of the images by itself."""
        return frozenset([self.name.partition(".")[0]]) if self.says == {"images"} else self.says


def is_deposit(folder: Path) -> bool:
    """Whether `folder` holds positions, and what a section needs where or as Space Ranger does not write it alone."""
    parts = _parts(folder)
    in_pieces = any(part.path.parent == folder and part.name == "matrix.mtx" for part in parts)
    usual = {what for part in parts if part.is_usual for what in part.what}
    others = {what for part in parts if not _is_beside_spatial(part, usual) for what in part.what}
    return bool(_positions(parts)) and (in_pieces or not others - {"metrics"} <= usual)


def _is_beside_spatial(part: Part, usual: set[str]) -> bool:
    """Whether a file is of another folder spatial, packed or not, of a section that has it unpacked, too."""
    return "positions" in usual and (part.holder is not None or part.says >= ALL_SPATIAL)


def samples(folder: Path) -> list[str]:
    """The names of the samples in a deposit, without what parts them from the names of the files."""
    return sorted({part.sample for part in _positions(_parts(folder))})


def says_of(folder: Path) -> dict[str, set[str]]:
    """What the files of each sample in a deposit say: positions, counts, images, scales and more."""
    parts, held = _parts(folder), samples(folder)
    return {name: set().union(*(part.says for part in _of_sample(parts, name, held))) for name in held}


def parts_of(folder: Path) -> set[Path]:
    """The files and folders in `folder` that are parts of the sections in it, by their names."""
    held = samples(folder)
    return {part.holder or part.path for part in _parts(folder) if part.holder is None or part.sample in held}


def counts_alone(folder: Path) -> str:
    """What a folder holds of a section's counts that has no positions; empty where it holds none, or both."""
    parts = _parts(folder)
    held = [part.path.name for part in parts if "counts" in part.says and part.path.parent == folder]
    return held[0] if held and not _positions(parts) else ""


def is_named(name: str) -> bool:
    """Whether a member of an archive is named like a file of a section in a deposit."""
    *folders, base = name.split("/")
    is_known = any(pattern.fullmatch(base) for pattern, *_ in BEHIND)
    return is_known and OF_MACOS not in folders and not base.startswith(AGGREGATED)


@cache
def arranged(folder: Path, library: str = "") -> Path:
    """A folder of links to the files of a deposit, named and unpacked as Space Ranger has them; one sample alone.

    `library`: which of several samples in one folder, by its name.
    """
    held, wanted = samples(folder), _name(library)
    if (library or len(held) > 1) and wanted not in held:
        found = f"those of {len(held)} ({', '.join(held[:4])})" if len(held) > 1 else f"those of {held[0]}"
        raise EfnstError(
            f"Expected the files of one section in {folder}, found {found}: give each a row, with its name in "
            "the column library."
        )
    taken = _of_sample(_parts(folder), wanted or held[0], held)
    _require_sound(taken, folder)
    outs = new_folder()
    tell_as(outs, folder)
    if not (folder / "spatial").is_dir():
        tell_as(outs / "spatial", folder, is_named=False)
    (outs / "spatial").mkdir()
    for part in sorted(taken, key=lambda part: part.is_packed):  # what is unpacked goes before
        path = require_inside(part.path, folder)
        if is_archive(path):
            _put_content(path, outs)
        elif path.is_dir():
            _put_folder(path, outs / part.name, folder)
        else:
            _put(path, part, outs)
    return outs


def _require_sound(taken: list[Part], folder: Path) -> None:
    """Refuse a sample without counts, or with a folder that holds the files of several."""
    if not any("counts" in part.says for part in taken):
        positions = next(part.path.name for part in taken if "positions" in part.says)
        raise EfnstError(
            f"Expected counts (filtered_feature_bc_matrix.h5, or matrix.mtx with its names) beside {positions} in "
            f"{folder}, found none{listing(folder)}: put both into one folder, under names that begin alike."
        )
    seen: dict[tuple[Path, str, bool], Path] = {}
    for part in taken:
        if part.holder and (first := seen.setdefault((part.holder, part.name, part.is_gz), part.path)) != part.path:
            raise _twice(part.holder.name, *(str(path.relative_to(part.holder)) for path in (first, part.path)))


def _twice(holder: str, first: str, second: str) -> EfnstError:
    """The error for a folder, packed or not, with files of several sections."""
    return EfnstError(
        f"Expected the files of one section in {holder}, found {first} and {second}: give each a folder or archive of "
        "its own."
    )


def _of_sample(parts: list[Part], sample: str, held: list[str]) -> list[Part]:
    """The files of one of the samples `held`, and those without a name that say what none of them says.

    The latter belong to no other sample where they are a section of their own, which in turn takes what it lacks from
    the files of a single name.
    """
    own = [part for part in parts if part.sample == sample]
    if held == [""]:
        said = {"metrics"}.union(*(part.says for part in own))
        others = [part for part in parts if part.sample and not said & part.says]
        names = sorted({part.sample for part in others})
        if len(names) > 1 and "counts" not in said:
            raise EfnstError(
                f"Expected the files of one section beside the positions in {others[0].path.parent}, found those of "
                f"{len(names)} ({', '.join(names[:4])}): give each section a folder of its own."
            )
        return own + others if len(names) < 2 else own
    if "" in held:
        return own
    said = set().union(*(part.says for part in parts if part.sample in held))
    said |= {"metrics"} if len(held) > 1 else set()
    return own + [part for part in parts if not (part.sample or said & part.says)]


def _positions(parts: list[Part]) -> list[Part]:
    """The files of positions; a packed folder, or one of a sample, counts where its sample's counts lie beside it.

    Beside an unpacked one it is that of another section only where both have counts.
    """
    counted = {part.sample for part in parts if "counts" in part.says}
    positions = [part for part in parts if "positions" in part.says]
    enough = all if any(part.is_usual for part in positions) else any
    return [
        part
        for part in positions
        if not (is_archive(part.path) or part.holder) or enough(name in counted for name in (part.sample, ""))
    ]


def _parts(folder: Path) -> list[Part]:
    """The files of sections in `folder` and its folders spatial: with the sample in front, or else behind."""
    in_front = list(_parts_by(folder, IN_FRONT))
    has_positions = any("positions" in part.says for part in in_front)
    return in_front if has_positions else list(_parts_by(folder, BEHIND))


def _parts_by(folder: Path, patterns: list[tuple]) -> Iterator[Part]:
    """The files of sections by these patterns of their names."""
    for place in filter(Path.is_dir, (folder, folder / "spatial")):
        for path in sorted(place.iterdir()):
            part = _part(path, patterns)
            if part is None or not (path.is_file() or path.is_dir()):
                continue
            if part.place != "spatial" or not path.is_dir():
                yield part
            elif part.sample:
                yield from _held_by(part)


def _held_by(folder: Part) -> Iterator[Part]:
    """What a sample's folder spatial holds, or one in it, as its packed form may; nothing of a whole section."""
    paths = [path for depth in ("*", "*/*") for path in sorted(folder.path.glob(depth)) if is_visible(path.name)]
    parts = [part for path in paths if (part := _part(path, BEHIND))]
    if not any("counts" in part.says for part in parts):
        files = [part for part in parts if part.place == "spatial" and not part.path.is_dir()]
        yield from (replace(part, sample=folder.sample, holder=folder.path) for part in files)


def _part(path: Path, patterns: list[tuple]) -> Part | None:
    """What a file or folder is by its name; None where it is nothing of a section, or of several put together."""
    name = path.name + "/" * path.is_dir()
    for pattern, place, says in patterns:
        found = pattern.fullmatch(name)
        if found and not found["front"].endswith(AGGREGATED):
            sample = "_".join(filter(None, (_name(found["front"]), found["behind"].strip(SEPARATORS))))
            return Part(path, sample, found["stem"] + found["end"], place, frozenset(says), bool(found["gz"]))
    return None


def _name(front: str) -> str:
    """The sample's name in what stands before that of a file, without the folder that it lay in."""
    return FOLDERS.sub("", front.rstrip(SEPARATORS)).rstrip(SEPARATORS)


def _put(path: Path, part: Part, outs: Path) -> None:
    """A link to a file at its place in `outs`; what is packed is unpacked there, but for what is read packed."""
    (outs / part.place).mkdir(exist_ok=True)
    target = outs / part.place / part.name
    if part.place == MATRIX_FOLDER and part.is_gz:
        target = target.with_name(target.name + ".gz")
    if target.exists():
        return
    tell_as(target, part.path)
    if part.place == MATRIX_FOLDER or not part.is_gz:
        target.symlink_to(path.resolve())
    else:
        _unpack(path, target)


def _put_folder(path: Path, target: Path, folder: Path) -> None:
    """Links to the files of a matrix, as a folder in `outs`; no link of it may lead out of `folder`."""
    if not target.exists():
        target.mkdir()
        tell_as(target, path)
        for child in visible(path):
            (target / child.name).symlink_to(require_inside(child, folder).resolve())


def _put_content(archive: Path, outs: Path) -> None:
    """What a packed folder holds, at its place in `outs`."""
    into = new_folder()
    tell_as(into, archive)
    found: dict[tuple[str, bool], str] = {}
    for name in sorted(unpack(archive, into, lambda name: is_named(name) and not is_archive(Path(name)))):
        part = _part(into / name, BEHIND)
        twice = found.setdefault((part.name, part.is_gz), name)
        if twice != name:
            raise _twice(archive.name, twice, name)
        _put(into / name, part, outs)
    if not found:
        raise EfnstError(
            f"Expected the files of a folder of Space Ranger in {archive.name}, found none: unpack it and look."
        )


def _unpack(path: Path, target: Path) -> None:
    """Write the content of a gzip file, within bounds."""
    n_bytes = 0
    with reading(path), gzip.open(path) as packed, target.open("wb") as file:
        while block := packed.read(BLOCK_BYTES):
            n_bytes += file.write(block)
            if n_bytes > MAX_BYTES:
                raise damaged(path, f"it unpacks to more than {MAX_BYTES} bytes")
