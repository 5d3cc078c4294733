"""What a folder holds but for hidden files, such as the `._` files that macOS leaves beside those that it copies."""

from fnmatch import fnmatchcase
from pathlib import Path

OF_MACOS = "__MACOSX"  # a folder of nothing else


def visible(folder: Path, pattern: str = "*") -> list[Path]:
    """What a folder holds under names of a pattern, in their order."""
    return sorted(path for path in folder.iterdir() if is_visible(path.name) and fnmatchcase(path.name, pattern))


def is_visible(name: str) -> bool:
    """Whether a file or folder of this name is one to be read."""
    return not name.startswith(".") and name != OF_MACOS
