"""Arrays in .safetensors files, which hold numbers and nothing that could be run, and whether they fit together."""

from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from efnst.errors import reading


def write_tensors(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays by name, for everybody whom the umask allows to read files: `save_file` lets only their owner."""
    path.write_bytes(save({name: np.ascontiguousarray(values) for name, values in arrays.items()}))


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file, by name; an `EfnstError` where it is damaged or holds what is no number."""
    with reading(path, SafetensorError):
        arrays = load_file(path)
        for name, values in arrays.items():
            if not np.isfinite(values).all():
                raise ValueError(f"{name} holds what is no finite number")
        return arrays


@dataclass
class Axes:
    """The axes that arrays of a file share: the size of a named one is that of the first array that has it.

    All methods raise ValueError, which `reading` turns into an error for the user.
    """

    sizes: dict[str, int] = field(default_factory=dict)

    def require(self, name: str, values: object, *axes: str | int) -> None:
        """Refuse `values` that are no array of numbers with these axes, each a name or a size."""
        found = values.shape if isinstance(values, np.ndarray) and values.dtype.kind in "iuf" else None
        if found is None or len(found) != len(axes):
            raise ValueError(f"{name} is not an array of numbers with {len(axes)} axes")
        for axis, size in zip(axes, found, strict=True):
            expected = self.sizes.setdefault(axis, size) if isinstance(axis, str) else axis
            if size != expected:
                raise ValueError(f"{name} has an axis of {size} instead of {expected}")

    def require_places(self, name: str, values: object, axis: str, end: int, start: int = 0) -> None:
        """Refuse `values` that are not whole numbers from `start` to before `end` along one `axis`."""
        self.require(name, values, axis)
        if values.dtype.kind not in "iu" or (values.size and not (start <= values.min() and values.max() < end)):
            raise ValueError(f"{name} holds other than whole numbers from {start} to {end - 1}")


def require_positive(name: str, *values: object) -> None:
    """Raise ValueError unless all `values` are numbers above 0."""
    for value in values:
        if not isinstance(value, Real) or isinstance(value, bool) or not 0 < value < np.inf:
            raise ValueError(f"{name} holds other than positive numbers")
