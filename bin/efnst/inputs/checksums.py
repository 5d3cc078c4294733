"""Checksums of input files, so that a result can be traced to the bytes it was made from."""

import hashlib
from pathlib import Path

from efnst.inputs.space_ranger import Files, find_files
from efnst.names import NO_IMAGE

WHOLE_BYTES = 2**28  # files up to this size are read as a whole, under a second
BLOCK_BYTES, N_BLOCKS = 2**20, 64  # of larger ones, spread evenly from the first byte to the last
WHOLE, SAMPLED = "sha256", "sha256 of the size and 64 blocks of 1 MiB"
OF_FILES = "sha256 of names and checksums of all files"


def file_checksum(path: Path) -> dict:
    """`bytes`, `checksum` and `method` of a file.

    An image of many GB costs no more than 64 MiB of reading: then the checksum is that of its size, as decimal text,
    and 64 blocks that are spread evenly over it. A file that was truncated or rewritten has another one.
    """
    size = path.stat().st_size
    is_whole = size <= WHOLE_BYTES
    digest = hashlib.sha256(b"" if is_whole else str(size).encode())
    with path.open("rb") as file:
        for block in range(-(-size // BLOCK_BYTES) if is_whole else N_BLOCKS):
            file.seek(block * BLOCK_BYTES if is_whole else (size - BLOCK_BYTES) * block // (N_BLOCKS - 1))
            digest.update(file.read(BLOCK_BYTES))
    return {"bytes": size, "checksum": digest.hexdigest(), "method": WHOLE if is_whole else SAMPLED}


def input_checksums(section: Path, image: str, labels: str, bin_um: str = "", library: str = "") -> dict[str, list]:
    """Checksums of the files that a section is read from, one list per column.

    `section`, `image`, `labels`, `bin_um` and `library` are those of `load_section`; `role` is what the file is for,
    `file` its name within the section's folder, or by itself outside of it. An archive, an .h5ad file or a zarr is one
    row.
    """
    if section.is_file() or section.name.lower().endswith(".zarr"):
        rows = [{"role": "section", "file": section.name} | any_checksum(section)]
        paths = []
    else:
        rows, paths = [], _paths(find_files(section, bin_um, library), image)
    if image and image.lower() != NO_IMAGE:
        paths.append(("full-resolution image", Path(image)))
    if labels:
        paths.append(("labels", Path(labels)))
    rows += [{"role": role, "file": _name(path, section)} | file_checksum(path) for role, path in paths]
    return {column: [row[column] for row in rows] for column in rows[0]}


def _paths(files: Files, image: str) -> list[tuple[str, Path]]:
    """The files of a Space Ranger folder with what each is for."""
    paths = [("counts", path) for path in files.of_matrix]
    paths += [("positions", files.positions)]
    paths += [("scale factors", files.scale_factors)] if files.scale_factors else []
    if image.lower() != NO_IMAGE:
        paths += [(f"{name} image", path) for name, path in files.images.items()]
    return paths


def any_checksum(path: Path) -> dict:
    """`bytes`, `checksum` and `method` of a file, or of all files below a folder."""
    return (file_checksum if path.is_file() else _of_all)(path)


def _of_all(folder: Path) -> dict:
    """`bytes`, `checksum` and `method` of all files below a folder together, in the order of their names."""
    digest, size = hashlib.sha256(), 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found = file_checksum(path)
        size += found["bytes"]
        digest.update(f"{path.relative_to(folder).as_posix()} {found['checksum']}\n".encode())
    return {"bytes": size, "checksum": digest.hexdigest(), "method": OF_FILES}


def _name(path: Path, folder: Path) -> str:
    """The file's name within `folder`, or its own."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
