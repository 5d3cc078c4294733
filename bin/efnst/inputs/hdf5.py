"""HDF5 files of users, any part of which may be damaged: each call that reads is within `reading`."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import h5py
import numpy as np

from efnst.errors import damaged, reading

DEFLATE_RATIO = 1032  # no deflated byte unfolds to more


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file; no dataset claims more bytes than the file can hold."""
    with reading(path):
        file = h5py.File(path)
    with file:
        _require_plausible(file, path)
        yield file


def reading_from(item: h5py.Group | h5py.Dataset) -> AbstractContextManager[None]:
    """`reading` for calls of h5py."""
    return reading(path_of(item), TypeError)  # TypeError: for types that NumPy does not have


def path_of(item: h5py.Group | h5py.Dataset) -> Path:
    """The file that an item lies in."""
    return Path(item.file.filename)


def member(group: object, name: str) -> h5py.Group | h5py.Dataset | None:
    """What stands under a name, None where there is nothing or `group` is no group."""
    if not isinstance(group, h5py.Group):
        return None
    with reading_from(group):
        return group.get(name)


def names_in(group: object) -> list[str]:
    """The names in a group, none where it is no group."""
    if not isinstance(group, h5py.Group):
        return []
    with reading_from(group):
        return list(group)


def column(group: h5py.Group, name: str, dtype: type | None = None) -> np.ndarray:
    """All values of a dataset of one dimension; numbers too large for `dtype` become its largest."""
    dataset = member(group, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 1:
        raise damaged(path_of(group), f"{name} is no list of values")
    with reading_from(group):
        if dtype is None:
            return dataset[:]
        values = np.empty(dataset.shape, dtype)
        dataset.read_direct(values)
        return values


def _require_plausible(file: h5py.File, path: Path) -> None:
    """Refuse a file with a dataset that claims more bytes than the file can hold."""
    most = DEFLATE_RATIO * path.stat().st_size

    def claim(name: str, item: object) -> tuple[str, int] | None:
        return (name, item.nbytes) if isinstance(item, h5py.Dataset) and item.nbytes > most else None

    with reading(path, TypeError):
        found = file.visititems(claim)  # the first that is not None
    if found:
        raise damaged(path, f"{found[0]} claims {found[1]} bytes, more than the file can hold")
