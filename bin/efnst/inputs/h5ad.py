"""Sections in .h5ad files, as scanpy and squidpy write them. Only what is needed is read, and nothing is unpickled."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem
from scipy.sparse import csr_matrix

from efnst.errors import EfnstError, reading
from efnst.inputs.annotated import LAYERS, choose_counts, features_of, is_on_array, matrix_of, positions_of
from efnst.inputs.feature_matrix import DEFLATE_RATIO
from efnst.inputs.positions import checked_scales
from efnst.inputs.source import Source
from efnst.names import SPATIAL

SAMPLED = 10_000  # values that tell whether a matrix holds counts


def read_h5ad_section(path: Path, bin_um: str, expression_rep: str, with_counts: bool) -> Source:
    """Read a section with positions in obsm["spatial"], full-resolution px; see `open_source`."""
    if not path.is_file():
        raise EfnstError(f"Expected an .h5ad file, found none at {path}: check the column section.")
    if bin_um and not bin_um.isdigit():
        raise EfnstError(f"Expected a bin size or nothing as bin_um of {path.name}, found {bin_um}: leave it empty.")
    with reading(path), h5py.File(path) as file:
        _require_plausible(file, DEFLATE_RATIO * path.stat().st_size)
        obs = _frame(file, "obs", path)
        place = choose_counts({place: _sampler(file[place]) for place in _places(file)}, path.name)
        var = _frame(file, "raw/var" if place == "raw/X" else "var", path)
        counts = _sparse(file[place]) if with_counts else csr_matrix((len(obs), len(var)), dtype=np.int32)
        if SPATIAL not in file.get("obsm", ()):
            found = ", ".join(list(file.get("obsm", ()))[:8]) or "nothing"
            raise EfnstError(f"Expected positions in obsm['spatial'] of {path.name}, found {found}: add them.")
        positions = positions_of(obs, _element(file["obsm"][SPATIAL]), path.name)
        library = _library(file, path)
        scales = _plain(_element(library["scalefactors"])) if "scalefactors" in library else {}
        factors = checked_scales(scales, path.name)
        features = {}
        if expression_rep:
            held = {name: _element(file["obsm"][name]) for name in file["obsm"] if name == expression_rep}
            features = {expression_rep: features_of(held or dict.fromkeys(file["obsm"]), expression_rep, len(obs))}
        images = {
            source: f"{library.name.lstrip('/')}/images/{source}"
            for source in ("hires", "lowres")
            if source in library.get("images", ())
        }
    return Source(
        path=path,
        matrix=matrix_of(counts, obs, var, path.name),
        is_filtered="in_tissue" not in obs,
        positions=positions,
        factors=factors,
        images=images,
        layout=f"{path.name}, counts in {place.replace('/', '.')}",
        bin_um=int(bin_um or 0),
        is_on_array=is_on_array(obs),
        representations=features,
    )


def read_image(path: Path, name: str) -> np.ndarray:
    """The image `name`, [height, width, channels]."""
    with reading(path), h5py.File(path) as file:
        if not isinstance(file.get(name), h5py.Dataset):
            raise EfnstError(f"Expected the image {name} in {path.name}, found none: give the same file.")
        _require_plausible(file, DEFLATE_RATIO * path.stat().st_size)
        return file[name][:]


def _element(item: h5py.Group | h5py.Dataset) -> object:
    """One element of the file as anndata reads it."""
    try:
        return read_elem(item)
    except Exception as error:  # anndata has exceptions of its own for what is damaged
        raise ValueError(f"{item.name}, {type(error).__name__}: {error}") from error


def _require_plausible(file: h5py.File, most_bytes: int) -> None:
    """Raise ValueError where a dataset claims more bytes than the file can hold."""

    def check(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.nbytes > most_bytes:
            raise ValueError(f"{name} claims {item.nbytes} bytes, more than the file can hold")

    file.visititems(check)


def _places(file: h5py.File) -> list[str]:
    """Where counts may be: X, then layers named for counts, .raw, and any other layer."""
    layers = list(file.get("layers", ()))
    named = [name for name in LAYERS if name in layers]
    places = ["X", *(f"layers/{name}" for name in named), "raw/X", *(f"layers/{name}" for name in layers)]
    return [place for place in dict.fromkeys(places) if place in file and _has_values(file[place])]


def _has_values(item: h5py.Group | h5py.Dataset) -> bool:
    """Whether an element is a matrix, sparse or dense."""
    return "data" in item if isinstance(item, h5py.Group) else item.ndim == 2


def _sampler(item: h5py.Group | h5py.Dataset) -> Callable[[], np.ndarray]:
    """A function that gives some values of a matrix."""
    if isinstance(item, h5py.Group):
        return lambda: item["data"][:SAMPLED]
    n_rows = max(1, SAMPLED // max(1, item.shape[1]))
    return lambda: item[:n_rows].ravel()


def _sparse(item: h5py.Group | h5py.Dataset) -> csr_matrix:
    """A matrix as CSR, whichever way it is stored."""
    matrix = csr_matrix(_element(item))
    matrix.check_format(full_check=True)
    return matrix


def _frame(file: h5py.File, name: str, path: Path) -> pd.DataFrame:
    """A table of the file."""
    if not isinstance(file.get(name), h5py.Group):
        raise EfnstError(f"Expected an .h5ad file with {name}, found {', '.join(list(file)[:8])} in {path.name}.")
    return _element(file[name])


def _library(file: h5py.File, path: Path) -> h5py.Group | dict:
    """The images and scale factors, uns["spatial"] of one library; empty where there are none."""
    spatial = file.get(f"uns/{SPATIAL}")
    names = [name for name in spatial if isinstance(spatial[name], h5py.Group)] if spatial else []
    if len(names) > 1:
        raise EfnstError(
            f"Expected one section in {path.name}, found {len(names)} in uns['spatial'] ({', '.join(names[:4])}): "
            "write each to a file of its own."
        )
    return spatial[names[0]] if names else {}


def _plain(factors: object) -> object:
    """Scale factors as a dictionary of plain numbers, as far as they are a dictionary."""
    if not isinstance(factors, dict):
        return factors
    return {name: np.asarray(value).item() if np.size(value) == 1 else value for name, value in factors.items()}
