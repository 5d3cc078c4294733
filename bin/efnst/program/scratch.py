"""A folder for what is unpacked while a program runs; it is removed when the program ends."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path


@cache
def scratch_folder() -> Path:
    """The folder of this process, below $TMPDIR; made when it is first asked for."""
    return Path(tempfile.mkdtemp(prefix="efnst_"))


@atexit.register
def remove_scratch() -> None:
    """Remove the folder of this process, where one was made."""
    if scratch_folder.cache_info().currsize:
        shutil.rmtree(scratch_folder(), ignore_errors=True)


def new_folder() -> Path:
    """An empty folder of one's own in it."""
    return Path(tempfile.mkdtemp(dir=scratch_folder()))
