"""Folders as public deposits have them: names with the sample in front, files packed by gzip, no folder spatial.

The folders spatial and filtered_feature_bc_matrix may be packed by tar, as GEO has them. A folder of Space Ranger in
which some of the files are packed, as those that 10x offers are when they have been downloaded, is one, too.
"""

import gzip
import posixpath
import re
from functools import cache
from pathlib import Path

from efnst.errors import EfnstError, damaged, reading
from efnst.inputs.links import require_inside
from efnst.inputs.unpack import SUFFIXES, is_archive, unpack
from efnst.inputs.visible import visible
from efnst.program.scratch import new_folder

# What each file is, by the end of its name, where Space Ranger has it, and what it says of a section.
MATRIX_FOLDER = "filtered_feature_bc_matrix"
TAR = "|".join(map(re.escape, SUFFIXES))
PLACES = {
    r"tissue_positions(_list)?\.(csv|parquet)": ("spatial", {"positions"}),
    r"scalefactors_json\.json": ("spatial", {"scales"}),
    r"tissue_(hires|lowres)_image\.(png|jpg|jpeg)": ("spatial", {"images"}),
    r"(filtered|raw)_feature_bc_matrix\.h5": (".", {"counts", "barcodes", "features"}),
    r"matrix\.mtx": (MATRIX_FOLDER, {"counts"}),
    r"barcodes\.tsv": (MATRIX_FOLDER, {"barcodes"}),
    r"(features|genes)\.tsv": (MATRIX_FOLDER, {"features"}),
    r"(filtered|raw)_feature_bc_matrix/": (".", {"counts", "barcodes", "features"}),
    r"metrics_summary\.csv": (".", {"metrics"}),
    rf"spatial({TAR})": ("spatial", {"positions", "scales", "images"}),
    rf"(filtered|raw)_feature_bc_matrix({TAR})": (MATRIX_FOLDER, {"counts", "barcodes", "features"}),
}
NAME = re.compile(rf"(?!\.)(?P<prefix>(.*[._-])?)(?P<name>{'|'.join(PLACES)})(?P<gz>\.gz)?")
FOLDERS = re.compile(r"(^|[._-])(spatial|((filtered|raw)_)?feature_bc_matrix|filtered|raw)$")  # before a file's name
SEPARATORS = "._-"
AGGREGATED = "aggr_"  # in front of the positions of several sections, which spaceranger aggr writes
BLOCK_BYTES = 10_000_000
MAX_BYTES = 4_000_000_000  # that a file may unpack to


def is_deposit(folder: Path) -> bool:
    """Whether `folder` holds positions, and what a section needs where or as Space Ranger does not write it alone."""
    known = _known(folder)
    in_pieces = any(path.parent == folder and match["name"] == "matrix.mtx" for path, match in known)
    usual = {what for path, match in known if _is_usual(path, match) for what in _what(match)}
    others = {what for _, match in known if not _is_beside_spatial(match, usual) for what in _what(match)}
    return bool(_positions(folder)) and (in_pieces or not others - {"metrics"} <= usual)


def _is_usual(path: Path, match: re.Match) -> bool:
    """Whether a file lies where and as it is read in a folder of Space Ranger; a matrix may have a name in front."""
    place, what = _place(match)
    is_plain = not _is_packed(path, match) and (not match["prefix"] or "counts" in what)
    return is_plain and place in (".", "spatial") and (path.parent.name == "spatial") == (place == "spatial")


def _is_packed(path: Path, match: re.Match) -> bool:
    """Whether a file is packed by gzip or tar."""
    return bool(match["gz"]) or is_archive(path)


def _is_beside_spatial(match: re.Match, usual: set[str]) -> bool:
    """Whether a file is the packed folder spatial of a section that has it unpacked, too."""
    return "positions" in usual & _place(match)[1] and "scales" in _place(match)[1]


def _what(match: re.Match) -> set[str]:
    """What a file says, each of the images by itself."""
    what = _place(match)[1]
    return {match["name"].partition(".")[0]} if what == {"images"} else what


def samples(folder: Path) -> list[str]:
    """The names in front of the files of each sample in a deposit, without what parts them from the rest."""
    return sorted({_sample(match) for _, match in _positions(folder)})


@cache
def arranged(folder: Path, library: str = "") -> Path:
    """A folder of links to the files of a deposit, named and unpacked as Space Ranger has them; one sample alone.

    `library`: which of several samples in one folder, by the name in front.
    """
    held, wanted = samples(folder), _name(library)
    if (library or len(held) > 1) and wanted not in held:
        found = f"those of {len(held)} ({', '.join(held[:4])})" if len(held) > 1 else f"those of {held[0]}"
        raise EfnstError(
            f"Expected the files of one section in {folder}, found {found}: give each a row, with the name in front of "
            "its files in the column library."
        )
    outs = new_folder()
    (outs / "spatial").mkdir()
    taken = _of_sample(_known(folder), wanted or held[0], held)
    for path, match in sorted(taken, key=lambda each: _is_packed(*each)):  # what is unpacked goes before
        path = require_inside(path, folder)
        if is_archive(path):
            _put_content(path, outs)
        elif path.is_dir():
            _put_folder(path, outs / match["name"], folder)
        else:
            _put(path, match, outs)
    return outs


def is_part_of_deposit(path: Path) -> bool:
    """Whether a file of a deposit is one of a section's, by its name."""
    return NAME.fullmatch(path.name) is not None


def _of_sample(known: list[tuple[Path, re.Match]], sample: str, held: list[str]) -> list[tuple[Path, re.Match]]:
    """The files of one of the samples `held`, and those without a name in front that say what none of them says.

    The latter belong to no other sample where they are a section of their own, which in turn takes what it lacks from
    the files of a single name.
    """
    own = [(path, match) for path, match in known if _sample(match) == sample]
    if held == [""]:
        said = {"metrics"}.union(*(_place(match)[1] for _, match in own))
        others = [(path, match) for path, match in known if _sample(match) and not said & _place(match)[1]]
        names = sorted({_sample(match) for _, match in others})
        if len(names) > 1 and "counts" not in said:
            raise EfnstError(
                f"Expected the files of one section beside the positions in {others[0][0].parent}, found those of "
                f"{len(names)} ({', '.join(names[:4])}): give each section a folder of its own."
            )
        return own + others if len(names) < 2 else own
    if "" in held:
        return own
    said = set().union(*(_place(match)[1] for _, match in known if _sample(match) in held))
    said |= {"metrics"} if len(held) > 1 else set()
    return own + [(path, match) for path, match in known if not (_sample(match) or said & _place(match)[1])]


def _positions(folder: Path) -> list[tuple[Path, re.Match]]:
    """The files of positions in a folder; a packed folder counts where its sample's counts lie beside it.

    Beside an unpacked one it is that of another section only where both have counts.
    """
    known = _known(folder)
    counted = {_sample(match) for _, match in known if "counts" in _place(match)[1]}
    positions = [(path, match) for path, match in known if "positions" in _place(match)[1]]
    is_usual = any(_is_usual(path, match) for path, match in positions)
    return [
        (path, match)
        for path, match in positions
        if not is_archive(path) or (all if is_usual else any)(name in counted for name in (_sample(match), ""))
    ]


def _known(folder: Path) -> list[tuple[Path, re.Match]]:
    """The files of a section in `folder` and its folder spatial, by their names."""
    parts = [part for part in (folder, folder / "spatial") if part.is_dir()]
    paths = sorted(path for part in parts for path in part.iterdir() if path.is_file() or path.is_dir())
    known = [(path, match) for path in paths if (match := NAME.fullmatch(path.name + "/" * path.is_dir()))]
    return [(path, match) for path, match in known if not match["prefix"].endswith(AGGREGATED)]


def _sample(match: re.Match) -> str:
    """The name in front of a file."""
    return _name(match["prefix"])


def _name(prefix: str) -> str:
    """The sample's name in what stands before that of a file, without the folder that it lay in."""
    return FOLDERS.sub("", prefix.rstrip(SEPARATORS)).rstrip(SEPARATORS)


def _place(match: re.Match) -> tuple[str, set[str]]:
    """Where Space Ranger has a file, and what it says."""
    return next(what for pattern, what in PLACES.items() if re.fullmatch(pattern, match["name"]))


def _put(path: Path, match: re.Match, outs: Path) -> None:
    """A link to a file at its place in `outs`; what is packed is unpacked there, but for what is read packed."""
    place, _ = _place(match)
    (outs / place).mkdir(exist_ok=True)
    target = outs / place / match["name"]
    if place == MATRIX_FOLDER and match["gz"]:
        target = target.with_name(target.name + ".gz")
    if target.exists():
        return
    if place == MATRIX_FOLDER or not match["gz"]:
        target.symlink_to(path.resolve())
    else:
        _unpack(path, target)


def _put_folder(path: Path, target: Path, folder: Path) -> None:
    """Links to the files of a matrix, as a folder in `outs`; no link of it may lead out of `folder`."""
    if not target.exists():
        target.mkdir()
        for child in visible(path):
            (target / child.name).symlink_to(require_inside(child, folder).resolve())


def _put_content(archive: Path, outs: Path) -> None:
    """What a packed folder holds, at its place in `outs`."""
    into = new_folder()
    found: dict[tuple[str, str], str] = {}
    for name in sorted(unpack(archive, into, lambda name: _in_archive(name) is not None)):
        match = _in_archive(name)
        twice = found.setdefault((match["name"], match["gz"] or ""), name)
        if twice != name:
            raise EfnstError(
                f"Expected the files of one section in {archive.name}, found {twice} and {name}: pack each by itself."
            )
        _put(into / name, match, outs)
    if not found:
        raise EfnstError(
            f"Expected the files of a folder of Space Ranger in {archive.name}, found none: unpack it and look."
        )


def _in_archive(name: str) -> re.Match | None:
    """The name of a member of an archive, where it is a file of a section."""
    match = NAME.fullmatch(posixpath.basename(name))
    return None if match is None or is_archive(Path(name)) else match


def _unpack(path: Path, target: Path) -> None:
    """Write the content of a gzip file, within bounds."""
    n_bytes = 0
    with reading(path), gzip.open(path) as packed, target.open("wb") as file:
        while block := packed.read(BLOCK_BYTES):
            n_bytes += file.write(block)
            if n_bytes > MAX_BYTES:
                raise damaged(path, f"it unpacks to more than {MAX_BYTES} bytes")
