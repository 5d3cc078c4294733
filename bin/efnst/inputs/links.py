"""Folders of users hold their data themselves: no link in them leads to what else can be read here."""

from pathlib import Path

from efnst.errors import EfnstError


def require_inside(path: Path, root: Path) -> Path:
    """`path`, which must lie in the folder `root` when all links are followed; `root` may be behind a link itself."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise EfnstError(
            f"Expected {root.name} to hold its data itself, found that {path.name} is a link out of it: "
            "copy the folder with its links followed (cp -rL)."
        )
    return path


def require_own_files(root: Path) -> None:
    """Refuse a folder in which anything is a link out of it, or neither a file nor a folder."""
    for entry in root.rglob("*"):
        if entry.is_symlink():
            require_inside(entry, root)
        elif not (entry.is_file() or entry.is_dir()):
            raise EfnstError(
                f"Expected files in {root.name}, found that {entry.relative_to(root)} is a pipe, a socket or a device: "
                "remove it."
            )
