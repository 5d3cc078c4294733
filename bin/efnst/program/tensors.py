"""Arrays in .safetensors files, which hold numbers and nothing that could be run."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from efnst.errors import reading


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file, by name; an `EfnstError` where it is damaged."""
    with reading(path, SafetensorError):
        return load_file(path)
