"""The one exception type for what a user can cause."""

import csv
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

DAMAGED = (
    *(OSError, EOFError, MemoryError, RuntimeError, SyntaxError),
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    *(csv.Error, struct.error, tarfile.TarError, zipfile.BadZipFile, zlib.error),
)


class EfnstError(Exception):
    """Bad input or options: the message says what was found, what was expected and what to do."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what a damaged file makes its reader raise, in one of many ways, into an error for the user."""
    try:
        yield
    except DAMAGED as error:
        what = " ".join(str(error).split())[:300] or type(error).__name__
        raise EfnstError(
            f"Expected a complete {path.name}, found that it cannot be read ({what}): copy the file again."
        ) from error


def check_choice(name: str, value: str, allowed: Iterable[str]) -> None:
    """Raise an `EfnstError` unless the option `name` has one of the `allowed` values."""
    if value not in allowed:
        raise EfnstError(f"Expected {name} to be one of {', '.join(allowed)}, found `{value}`.")
