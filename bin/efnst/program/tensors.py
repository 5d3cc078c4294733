"""Arrays in .safetensors files, which hold numbers and nothing that could be run."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from efnst.errors import reading


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file, by name; an `EfnstError` where it is damaged or holds what is no number."""
    with reading(path, SafetensorError):
        arrays = load_file(path)
        for name, values in arrays.items():
            if not np.isfinite(values).all():
                raise ValueError(f"{name} holds what is no finite number")
        return arrays
