"""Reads sections, images and labels with faulty.c preloaded, and prints each failure of the machine that was taken for
something else: `python -m tests.hostile.failing_machine FOLDER reads|memory`.
"""

import ctypes
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from efnst.image.rows import RowReader
from efnst.inputs.checksums import input_checksums
from efnst.inputs.image_choice import image_size
from efnst.inputs.labels import read_labels
from efnst.inputs.open import open_source
from efnst.machine import lack_of

NUMBERS = (errno.EIO, errno.ESTALE)
GOOD_READS = (0, 2, 6)
BYTES = [int(10_000 * 1.6**step) for step in range(16)]  # of the largest block of memory that is given
SEGFAULT = 139 - 128  # HDF5 does not look at every answer: the shell makes it a status that is tried again


def read_section(path: Path) -> None:
    open_source(path)
    input_checksums(path, "", "", "")


def read_image(path: Path) -> None:
    image_size(path)
    reader = RowReader(path)
    for first in range(0, reader.height, 70):
        reader.rows(first, min(first + 70, reader.height))


def reader_of(path: Path) -> Callable[[Path], object]:
    """What reads an input, by its name."""
    if path.name.startswith("image"):
        return read_image
    return read_labels if path.suffix == ".csv" else read_section


def failing_reads(path: Path) -> Iterator[str]:
    """One line for each try to read an input while one of its files fails: how it was told."""
    calls = ctypes.c_int.in_dll(ctypes.CDLL(None), "calls")
    for file in [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file()):
        for number in NUMBERS:
            for good in GOOD_READS:
                os.environ |= {"FAULTY_READ": str(file), "FAULTY_ERRNO": str(number), "FAULTY_AFTER": str(good)}
                calls.value = 0
                ended = ending(path)
                del os.environ["FAULTY_READ"]
                if calls.value > good:  # otherwise nothing failed
                    yield f"{file} {errno.errorcode[number]} after {good}: {ended}"


def failing_memory(path: Path) -> Iterator[str]:
    """One line for each try to read an input with too little memory."""
    for most in BYTES:
        told, tell = os.pipe()
        child = os.fork()
        if not child:
            signal.alarm(60)
            ctypes.c_long.in_dll(ctypes.CDLL(None), "most_bytes").value = most
            os.write(tell, ending(path).encode()[:1000])
            os._exit(0)
        os.close(tell)
        with os.fdopen(told) as answer:
            ended = answer.read()
        _, status = os.waitpid(child, 0)
        yield f"{path} with {most} bytes: {'told' if os.WTERMSIG(status) == SEGFAULT else ended or f'signal {status}'}"


def ending(path: Path) -> str:
    """`read`, `told` where the machine was named, otherwise the error."""
    try:
        reader_of(path)(path)
    except Exception as error:
        ctypes.c_long.in_dll(ctypes.CDLL(None), "most_bytes").value = 0
        return "told" if lack_of(error) else f"{type(error).__name__}: {error}"
    return "read"


if __name__ == "__main__":
    tries = failing_reads if sys.argv[2] == "reads" else failing_memory
    for given in sorted(Path(sys.argv[1]).iterdir()):
        for line in tries(given):
            print(line)
