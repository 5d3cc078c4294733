"""HDF5 files, any part of which may be damaged or made to harm: each call that reads is within `reading`.

HDF5 can take data from other files, by links, external storage and virtual datasets: whatever the user may read would
turn up as gene symbols. No file is read, those of our own steps included, before all of it is known to be its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
from h5py import h5l

from efnst.errors import EfnstError, damaged, reading

if TYPE_CHECKING:
    from anndata import AnnData

DEFLATE_RATIO = 1032  # no deflated byte unfolds to more
FILTERS = {307: "bzip2", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32015: "zstd", 32026: "blosc2"}
MAX_LINKS = 100_000  # an .h5ad with much in uns has hundreds


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file; all its data are its own, and no dataset claims more bytes than the file can hold."""
    with reading(path):
        file = h5py.File(path)
    with file:
        _require_own_links(file, path)
        with reading(path, TypeError):
            file.visititems(lambda _, item: _require_sound(item, path))
        yield file


def read_own(path: Path, backed: str | None = None) -> "AnnData":
    """An .h5ad file of an earlier step, as `anndata.read_h5ad` reads it."""
    import anndata

    with opened(path), reading(path, Exception):  # anndata has exceptions of its own for what is damaged
        return anndata.read_h5ad(path, backed=backed)


@contextmanager
def opened_own(path: Path) -> Iterator["AnnData"]:
    """The same without its counts, which stay in the file; it is closed afterwards."""
    spots = read_own(path, backed="r")
    try:
        yield spots
    finally:
        spots.file.close()


@contextmanager
def reading_from(item: h5py.Group | h5py.Dataset, *also: type[Exception]) -> Iterator[None]:
    """`reading` for calls of h5py that read `item`; what a filter compressed that is not here is not called damaged."""
    try:
        with reading(path_of(item), TypeError, *also):  # TypeError: for types that NumPy does not have
            yield
    except EfnstError as error:
        name, missing = _missing_filter(item)
        if not missing:
            raise
        raise EfnstError(
            f"Expected {path_of(item).name} to be compressed by gzip or lzf, found that {name} is by {missing}, which "
            "cannot be unpacked here: write the file again, for instance with `h5repack -f GZIP=1` where it can."
        ) from error


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
    with reading_from(dataset):
        if dtype is None:
            return plain(dataset[:])
        values = np.empty(dataset.shape, dtype)
        dataset.read_direct(values)
        return values


def plain(values: np.ndarray) -> np.ndarray:
    """The same values as a type that SciPy has: half precision as float32, and bytes in the order of this machine."""
    is_half = values.dtype.kind == "f" and values.dtype.itemsize == 2
    return values.astype(np.float32 if is_half else values.dtype.newbyteorder("="), copy=False)


def _missing_filter(item: h5py.Group | h5py.Dataset) -> tuple[str, str]:
    """The first dataset of an item that is compressed by a filter that is not installed, and the filter; else empty."""
    datasets = [item]
    if isinstance(item, h5py.Group):
        item.visititems(lambda _, found: datasets.append(found))
    for dataset in datasets:
        made = dataset.id.get_create_plist() if isinstance(dataset, h5py.Dataset) else None
        for code, _, _, name in map(made.get_filter, range(made.get_nfilters())) if made else ():
            if not h5py.h5z.filter_avail(code):
                return dataset.name, FILTERS.get(code) or name.decode(errors="replace") or f"filter {code} of HDF5"
    return "", ""


def _require_own_links(file: h5py.File, path: Path) -> None:
    """Refuse links to other files; soft links lead to what other links of this file lead to."""
    links = []

    def has_enough(name: bytes, about: h5l.LinkInfo) -> bool | None:
        links.append((name, about.type))
        return len(links) > MAX_LINKS or None

    with reading(path):
        file.id.links.visit(has_enough, info=True)
    if len(links) > MAX_LINKS:
        raise damaged(path, f"it has more than {MAX_LINKS} groups and datasets")
    for name, kind in links:
        if kind not in (h5l.TYPE_HARD, h5l.TYPE_SOFT):
            raise _foreign(path, name.decode(errors="replace"), "a link to another file")


def _require_sound(item: h5py.Group | h5py.Dataset | h5py.Datatype, path: Path) -> None:
    """Refuse an item whose data lie in other files, or that claims more bytes than the file can hold."""
    _require_own_data(item, path)
    for name in item.attrs:
        about = item.attrs.get_id(name)
        if h5py.check_ref_dtype(about.dtype) is h5py.Reference and about.shape == ():
            _require_own_data(item.file[item.attrs[name]], path)  # which old .h5ad have instead of a link
    if isinstance(item, h5py.Dataset) and item.nbytes > DEFLATE_RATIO * path.stat().st_size:
        raise damaged(path, f"{item.name} claims {item.nbytes} bytes, more than the file can hold")


def _require_own_data(item: h5py.Group | h5py.Dataset | h5py.Datatype, path: Path) -> None:
    """Refuse a dataset that takes its values from other files."""
    if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
        raise _foreign(path, item.name, "taken from another file")


def _foreign(path: Path, name: str, found: str) -> EfnstError:
    """The error for data that do not lie in the file itself."""
    return EfnstError(
        f"Expected {path.name} to hold all its data itself, found that {name} is {found}: do not use it, or write it "
        "again with the data in it (h5repack) if you trust it."
    )
