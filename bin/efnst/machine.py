"""What a machine can lack while a program runs: a file that no longer answers, memory, room on the disk.

None of it says anything about the user's files: a program ends with a status that conf/base.config tries again.
"""

import errno
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK_BYTES = 2**20


@dataclass(frozen=True)
class Lack:
    """What the machine lacked: exit status, error numbers, and the words of libraries that keep no number."""

    status: int
    what: str
    numbers: tuple[int, ...]
    words: re.Pattern


LACKS = (
    Lack(
        104,
        "a file can no longer be reached (I/O error, or a file system that went away)",
        (errno.EIO, errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EREMOTEIO),
        re.compile("input/output error|stale file handle", re.IGNORECASE),
    ),
    Lack(
        137,
        "there is not enough memory",
        (errno.ENOMEM,),
        re.compile(
            "out of memory|(insufficient|not enough) memory|(cannot|can't|could not|failed to|unable to) (re)?allocate"
            "|allocation failed|bad[_ ]alloc|failed to map segment",
            re.IGNORECASE,
        ),
    ),
    Lack(
        175,
        "the disk is full, or the quota is used up",
        (errno.ENOSPC, errno.EDQUOT),
        re.compile("no space left on device|disk quota exceeded", re.IGNORECASE),
    ),
)
NUMBER = re.compile(r"errno = (\d+), error message")  # as HDF5 has it in its messages
QUOTING = (ValueError, LookupError, SyntaxError)  # their texts may be those of a file
OF_PANDAS = "Error tokenizing data. C error: out of memory"  # a ValueError all the same


def lack_of(error: BaseException) -> Lack | None:
    """What the machine lacked where that caused `error`, at once or through other errors; None for anything else."""
    return next((lack for each in _causes(error) for lack in LACKS if _tells(each, lack)), None)


def require_readable(path: Path) -> None:
    """Read a file to its end: where that fails, so did the machine, and OSError says how.

    Readers of images and archives take a read that fails for the end of the file. What is no plain file is not opened.
    """
    if not path.exists() or not stat.S_ISREG(path.stat().st_mode):
        return
    left = path.stat().st_size
    with path.open("rb", buffering=0) as file:
        while left > 0 and (block := file.read(min(left, BLOCK_BYTES))):
            left -= len(block)


def require_memory(n_bytes: int) -> None:
    """Raise MemoryError where so many bytes cannot be had: for readers that take it for damage."""
    bytearray(n_bytes)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, that which it was raised from or while it was handled, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _tells(error: BaseException, lack: Lack) -> bool:
    """Whether an error by itself says that this was lacking."""
    if isinstance(error, MemoryError):
        return errno.ENOMEM in lack.numbers
    if isinstance(error, OSError) and error.errno in lack.numbers:
        return True
    text = str(error)
    if (isinstance(error, QUOTING) and text != OF_PANDAS) or getattr(error, "quotes_files", False):
        return False
    number = NUMBER.search(text)
    return (number is not None and int(number[1]) in lack.numbers) or lack.words.search(text) is not None
