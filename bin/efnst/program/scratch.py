"""A folder for what is unpacked while a program runs; it is removed when the program ends."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path


@cache
def scratch_folder() -> Path:
    """The folder of this process, below $TMPDIR; made when it is first asked for."""
    folder = Path(tempfile.mkdtemp(prefix="efnst_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def new_folder() -> Path:
    """An empty folder of one's own in it."""
    return Path(tempfile.mkdtemp(dir=scratch_folder()))
