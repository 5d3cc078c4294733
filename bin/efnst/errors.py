"""The one exception type for what a user can cause, and how damaged files are told from our own mistakes.

`with reading(path):` stands around the calls that read a file, and around nothing else: what we make of the content
comes after it, so that a mistake of ours keeps its traceback. Damage that we find ourselves is raised by `damaged`.
"""

import csv
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from efnst.machine import lack_of, require_readable

UNREADABLE = (  # what readers raise for a damaged file
    *(OSError, EOFError, RuntimeError, SyntaxError, ArithmeticError, LookupError, ValueError),
    *(csv.Error, struct.error, tarfile.TarError, zipfile.BadZipFile, zlib.error),
)


class EfnstError(Exception):
    """Bad input or options: the message says what was found, what was expected and what to do."""

    quotes_files = True  # its words are no sign of what the machine lacked (machine.py)


def damaged(path: Path, what: object) -> EfnstError:
    """The error for a damaged file; `what` was found is an exception or text."""
    text = " ".join(str(what).split())[:300] or type(what).__name__
    return EfnstError(
        f"Expected a complete {path.name}, found that it cannot be read ({text}): copy the file again, or write it "
        "again if it is whole."
    )


def require_ordinary(path: Path) -> None:
    """Raise an `EfnstError` where a path leads to something else than a file or a folder."""
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise EfnstError(f"Expected `{path}` to be a file, found a pipe, a socket or a device: give a file.")


def not_allowed(path: object) -> EfnstError:
    """The error for a file or folder that may not be read."""
    return EfnstError(
        f"Expected to be allowed to read `{path}`, found that this user is not: have its permissions changed "
        "(`chmod -R a+rX`), or give a copy."
    )


def said_of(error: Exception) -> str:
    """What a user is told of an error in reading one of several inputs; a mistake of ours is raised again."""
    lack = lack_of(error)
    if lack:
        return f"{lack.what} ({error})."
    if isinstance(error, PermissionError):
        return str(not_allowed(error.filename))
    if isinstance(error, EfnstError):
        return str(error)
    raise error


@contextmanager
def reading(path: Path, *also: type[Exception]) -> Iterator[None]:
    """Turn what a reader raises for a damaged file, in one of many ways, into an error for the user.

    `also` are further exceptions of this reader. Where the machine failed and not the file, its error is left as it is.
    A pipe, a socket or a device, which a reader would wait for, is refused beforehand.
    """
    require_ordinary(path)
    try:
        yield
    except EfnstError:  # already says what is wrong
        raise
    except (*UNREADABLE, *also) as error:
        if lack_of(error):
            raise
        if isinstance(error, PermissionError):
            raise not_allowed(path) from error
        require_readable(path)
        raise damaged(path, error) from error


def each_read(path: Path, items: Iterator, *also: type[Exception]) -> Iterator:
    """The items of a lazy reader, each of them read within `reading`."""
    end = object()
    while True:
        with reading(path, *also):
            item = next(items, end)
        if item is end:
            return
        yield item


def check_choice(name: str, value: str, allowed: Iterable[str]) -> None:
    """Raise an `EfnstError` unless the option `name` has one of the `allowed` values."""
    if value not in allowed:
        raise EfnstError(f"Expected {name} to be one of {', '.join(allowed)}, found `{value}`.")
