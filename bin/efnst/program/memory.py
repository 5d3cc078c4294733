"""A limit of memory that follows the size of a file, whatever the file claims.

Readers check what they know how to check; this is the net below them, for claims that only a library sees. The limit is
the kernel's own (RLIMIT_DATA: memory that can be written to), so that every allocation of every library counts.
"""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from efnst.errors import EfnstError
from efnst.machine import lack_of

FREE_BYTES = 1_500_000_000  # for a file of any size
THREAD_BYTES = 2**24  # of stacks: a library starts up to two threads for each core
MAX_FACTOR = 50  # of a file's size; counts take about 15 times theirs while they are read


@contextmanager
def bounded_memory(path: Path, free: int = FREE_BYTES) -> Iterator[None]:
    """Let what is read from `path`, a file or folder, take `free` bytes and `MAX_FACTOR` times its size, and no more.

    Raises EfnstError beyond. Where the machine itself gives less, its error is left as it is. Linux only; elsewhere
    there is no such limit.
    """
    allowed = free + THREAD_BYTES * (os.cpu_count() or 1) + MAX_FACTOR * _size(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = _data_bytes() + allowed
    if not _data_bytes() or 0 <= soft <= most:  # no Linux, or a tighter limit than ours
        yield
        return
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    try:
        yield
    except Exception as error:
        lack = lack_of(error)
        if lack is None or errno.ENOMEM not in lack.numbers:
            raise
        raise EfnstError(
            f"Expected {path.name} to take memory in proportion to its {_size(path)} bytes, found that it asks for "
            f"more than {allowed} bytes: it is damaged or made to exhaust this machine; do not use it."
        ) from error
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _data_bytes() -> int:
    """Bytes that this process could write to, 0 where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[5]
    except OSError:
        return 0
    return int(pages) * resource.getpagesize()
