"""Sections in .h5ad files, as scanpy and squidpy write them. Only what is needed is read, and nothing is unpickled."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata._io.specs.registry import IORegistryError
from anndata.io import read_elem, read_h5ad
from scipy.sparse import csc_matrix, csr_matrix

from efnst.errors import EfnstError, reading
from efnst.inputs.annotated import (
    LAYERS,
    choose_counts,
    features_of,
    is_on_array,
    matrix_of,
    positions_of,
    taken,
    with_array,
)
from efnst.inputs.barcodes import are_cells, bin_size
from efnst.inputs.hdf5 import column, member, names_in, opened, path_of, plain, reading_from
from efnst.inputs.one_section import rows_of_section, sections_in
from efnst.inputs.positions import checked_scales
from efnst.inputs.source import Names, Source
from efnst.names import NO_IMAGE, SPATIAL
from efnst.program.scratch import new_folder

PLACES_OF_SPOTS = (SPATIAL, "X_spatial")  # the latter by tools that write all of obsm with X_
NO_PICTURES = "uns['spatial'] has no image and no scale factors under a name of this section alone: none were taken."
LIBRARY = "uns['spatial'][library]"
NAMES = Names(
    f"{LIBRARY}['images']['hires'] or ['lowres']", f"{LIBRARY}['images']['hires']", f"{LIBRARY}['scalefactors']"
)
SPARSE = {"csr_matrix": csr_matrix, "csc_matrix": csc_matrix}
SAMPLED = 10_000  # values that tell whether a matrix holds counts


def read_h5ad_section(path: Path, bin_um: str, expression_rep: str, with_counts: bool, library: str = "") -> Source:
    """Read a section with positions in obsm["spatial"], full-resolution px; see `open_source`."""
    if not path.is_file():
        raise EfnstError(f"Expected an .h5ad file, found none at {path}: check the column section.")
    with _opened_in_current_form(path) as file:
        every = with_array(_frame(file, "obs", path))
        rows, pictures = _part(file, every, library, path)
        obs = every if rows is None else every[rows]
        places = _places(file)
        place = choose_counts({name: _sampler(matrix) for name, matrix in places.items()}, path.name)
        var = _frame(file, "raw/var" if place == "raw/X" else "var", path)
        empty = csr_matrix((len(obs), len(var)), dtype=np.int32)
        counts = taken(_sparse(places[place]), rows, path.name) if with_counts else empty
        obsm = member(file, "obsm")
        positions = positions_of(obs, taken(_spatial(obsm, path), rows, path.name), path.name)
        is_part = rows is not None and not rows.all()
        of_others = is_part and pictures is None and bool(names_in(member(file, f"uns/{SPATIAL}")))
        scales = member(pictures, "scalefactors")
        content = _plain(_element(scales)) if scales is not None else {}
        factors = checked_scales(content, f"{NAMES.factors} of {path.name}")
        features = _features(obsm, expression_rep, len(every)) if expression_rep else {}
        images, empty_images = _images(pictures)
        is_cells = are_cells(bin_um, next(iter(obs.index), ""))
    return Source(
        path=path,
        matrix=matrix_of(counts, obs, var, path.name),
        is_filtered="in_tissue" not in obs,
        positions=positions,
        factors=factors,
        images=images,
        layout=", ".join(filter(None, [path.name, f"counts in {place.replace('/', '.')}", library])),
        bin_um=bin_size(bin_um, obs.index[:1], path),
        is_on_array=is_on_array(obs) and not is_cells,
        is_cells=is_cells,
        representations={name: taken(values, rows, path.name) for name, values in features.items()},
        warnings=(*((NO_PICTURES,) if of_others else ()), *empty_images),
        names=NAMES,
    )


def _part(
    file: h5py.File, every: pd.DataFrame, library: str, path: Path
) -> tuple[np.ndarray | None, h5py.Group | None]:
    """The rows of a section, bool [n], None for all, and its images and scale factors; `every`: obs of the file."""
    if not library:
        return None, _library(file, every, path, None)
    rows = rows_of_section(every, library, path.name)
    obs = every[rows]
    own = None if rows.all() else {library} | (_only_values(obs) - _only_values(every))
    return rows, _library(file, obs, path, own)


def _images(library: h5py.Group | None) -> tuple[dict[str, str], list[str]]:
    """The names within the file of the images of a library, and warnings about those without a px."""
    shown = None if _is_without_image(library) else member(library, "images")
    held = {source: member(shown, source) for source in ("hires", "lowres")}
    empty = [source for source, image in held.items() if isinstance(image, h5py.Dataset) and not image.size]
    images = {source: image.name.lstrip("/") for source, image in held.items() if image and source not in empty}
    return images, [f"The {source} image in uns['spatial'] has no px: it was left out." for source in empty]


def _is_without_image(library: h5py.Group | None) -> bool:
    """Whether a library says that its pictures, which ours have for who draws them, are of no image."""
    source = member(library, "metadata/source")
    if not isinstance(source, h5py.Dataset) or source.shape != () or h5py.check_string_dtype(source.dtype) is None:
        return False
    with reading_from(source):
        return source.asstr(errors="replace")[()] == NO_IMAGE


def _spatial(obsm: h5py.Group | None, path: Path) -> np.ndarray | pd.DataFrame:
    """The positions as they stand in the file."""
    held = names_in(obsm)
    spatial = member(obsm, next((name for name in PLACES_OF_SPOTS if name in held), SPATIAL))
    if spatial is None:
        found = ", ".join(held[:8]) or "nothing"
        raise EfnstError(f"Expected positions in obsm['spatial'] of {path.name}, found {found}: add them.")
    values = _element(spatial)
    return values if isinstance(values, pd.DataFrame) else np.asarray(values)


def _features(obsm: h5py.Group, name: str, n_spots: int) -> dict[str, np.ndarray]:
    """Features that were computed before, by their name."""
    held = names_in(obsm)
    given = {name: _element(member(obsm, name))} if name in held else dict.fromkeys(held)
    return {name: features_of(given, name, n_spots)}


def sections_of(path: Path) -> dict[str, tuple[bool, bool]]:
    """The sections of a file by name, as the column library takes them, an empty one where it holds one.

    With each whether it has images, and scale factors.
    """
    with _opened_in_current_form(path) as file:
        every = with_array(_frame(file, "obs", path))
        held = {name: _part(file, every, name, path)[1] for name in sections_in(every)[1] or [""]}
        return {
            name: (bool(_images(pictures)[0]), bool(names_in(member(pictures, "scalefactors"))))
            for name, pictures in held.items()
        }


@contextmanager
def _opened_in_current_form(path: Path) -> Iterator[h5py.File]:
    """The file, or one that anndata wrote again where it is of a version before 0.7, which has obs as one dataset."""
    with opened(path) as file:
        is_current = not isinstance(member(file, "obs"), h5py.Dataset)
        if is_current:
            yield file
    if not is_current:
        with reading(path, Exception):  # anndata has exceptions of its own
            rewritten = new_folder() / path.name
            read_h5ad(path).write_h5ad(rewritten)
        with opened(rewritten) as file:
            yield file


def read_image(path: Path, name: str) -> np.ndarray:
    """The image `name`, [height, width, channels]."""
    with opened(path) as file:
        image = member(file, name)
        if not isinstance(image, h5py.Dataset):
            raise EfnstError(f"Expected the image {name} in {path.name}, found none: give the same file.")
        with reading_from(image):
            return image[:]


def _element(item: h5py.Group | h5py.Dataset) -> object:
    """One element of the file as anndata reads it."""
    with reading_from(item, Exception):  # anndata has exceptions of its own for what is damaged
        try:
            return read_elem(item)
        except IORegistryError as error:
            raise EfnstError(
                f"Expected {item.name} of {path_of(item).name} in a form that anndata {version('anndata')} has, found "
                f"another ({error}): write the file again with this version of anndata or an older one."
            ) from error


def _places(file: h5py.File) -> dict[str, h5py.Group | h5py.Dataset]:
    """Matrices that may hold counts: X, then layers named for counts, .raw, and any other layer."""
    layers = names_in(member(file, "layers"))
    named = [name for name in LAYERS if name in layers]
    places = ["X", *(f"layers/{name}" for name in named), "raw/X", *(f"layers/{name}" for name in layers)]
    found = {place: member(file, place) for place in places}
    return {place: item for place, item in found.items() if _has_values(item)}


def _has_values(item: h5py.Group | h5py.Dataset | None) -> bool:
    """Whether an element is a matrix, sparse or dense."""
    values, n_dims = (member(item, "data"), 1) if isinstance(item, h5py.Group) else (item, 2)
    return isinstance(values, h5py.Dataset) and values.ndim == n_dims


def _sampler(item: h5py.Group | h5py.Dataset) -> Callable[[], np.ndarray]:
    """A function that gives some values of a matrix, from its start, its middle and its end."""
    dataset = member(item, "data") if isinstance(item, h5py.Group) else item
    n_rows = max(1, SAMPLED // max((1, *dataset.shape[1:])))
    starts = sorted({0, len(dataset) // 2, max(0, len(dataset) - n_rows)})

    def sample() -> np.ndarray:
        with reading_from(dataset):
            return np.concatenate([dataset[start : start + n_rows].ravel() for start in starts])

    return sample


def _sparse(item: h5py.Group | h5py.Dataset) -> csr_matrix:
    """A matrix as CSR, whichever way it is stored, and of types, too, that SciPy and therefore anndata do not have."""
    if isinstance(item, h5py.Dataset):
        values = _element(item)
        with reading_from(item):
            return csr_matrix(plain(values))
    with reading_from(item):
        about = dict(item.attrs)
    if about.get("encoding-type") not in SPARSE:
        raise EfnstError(
            f"Expected {' or '.join(SPARSE)} as encoding-type of {item.name} in {path_of(item).name}, found "
            f"{about.get('encoding-type', 'none')}: write the file again with anndata."
        )
    parts = tuple(column(item, name) for name in ("data", "indices", "indptr"))
    with reading_from(item):
        matrix = SPARSE[about["encoding-type"]](parts, shape=tuple(about["shape"]))
        matrix.check_format(full_check=True)
    return matrix.tocsr()


def _frame(file: h5py.File, name: str, path: Path) -> pd.DataFrame:
    """A table of the file."""
    table = member(file, name)
    element = _element(table) if isinstance(table, h5py.Group) else None
    if not isinstance(element, pd.DataFrame):
        raise EfnstError(f"Expected an .h5ad file with {name}, found {', '.join(names_in(file)[:8])} in {path.name}.")
    return element


def _library(file: h5py.File, obs: pd.DataFrame, path: Path, own: set[str] | None) -> h5py.Group | None:
    """The images and scale factors, uns["spatial"] of the library that the spots are of; None where there are none.

    Where uns["spatial"] has no libraries, but images and scale factors itself, it is that of the one library.
    `own`: names that this section of several has to itself; those of another one are not taken.
    """
    spatial = member(file, f"uns/{SPATIAL}")
    names = [name for name in names_in(spatial) if _is_library(member(spatial, name))]
    if not names and own is None and _is_library(spatial):
        return spatial
    if own is not None:
        names = [name for name in names if name in own]
    elif len(names) > 1:
        names = [name for name in names if name in _only_values(obs)] or names
    if len(names) > 1:
        raise EfnstError(
            f"Expected one section in {path.name}, found {len(names)} in uns['spatial'] ({', '.join(names[:4])}): "
            "write each to a file of its own, or keep the one that the spots are of in uns['spatial']."
        )
    return member(spatial, names[0]) if names else None


def _is_library(item: h5py.Group | h5py.Dataset | None) -> bool:
    """Whether a member of uns holds the images or the scale factors of a library."""
    return any(isinstance(member(item, name), h5py.Group) for name in ("images", "scalefactors"))


def _only_values(obs: pd.DataFrame) -> set[str]:
    """The values that all spots have in a column, such as the one library of a section cut out of several."""
    return {str(obs[name].iloc[0]) for name in obs.columns if len(obs) and obs[name].astype(str).nunique() == 1}


def _plain(factors: object) -> object:
    """Scale factors as a dictionary of plain numbers, as far as they are a dictionary."""
    if not isinstance(factors, dict):
        return factors
    return {name: np.asarray(value).item() if np.size(value) == 1 else value for name, value in factors.items()}
