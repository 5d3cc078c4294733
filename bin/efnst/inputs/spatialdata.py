"""Sections in SpatialData zarr folders: a table of counts, the shapes it is about, and images in their coordinates."""

import logging
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from efnst.errors import EfnstError, reading
from efnst.inputs.annotated import (
    LAYERS,
    choose_counts,
    features_of,
    is_on_array,
    matrix_of,
    positions_of,
    sound,
    with_array,
)
from efnst.inputs.barcodes import are_cells, bin_size
from efnst.inputs.hdf5 import plain
from efnst.inputs.links import require_own_files
from efnst.inputs.one_section import rows_of_section
from efnst.inputs.positions import checked_scales
from efnst.inputs.source import CELLS, Names, Source
from efnst.names import SPATIAL
from efnst.program.spared import BY_ANNDATA, needed

if TYPE_CHECKING:
    from anndata import AnnData
    from geopandas import GeoDataFrame
    from spatialdata import SpatialData

TABLE_ATTRIBUTES = "spatialdata_attrs"
AXES = ("x", "y")
SCALES = "uns['spatial'][library]['scalefactors']"
STRAIGHT = 1e-3  # part of the scale by which an image may be turned or stretched
SHIFT_PX = 1.0
NAMES = Names("a hires or lowres image in the coordinates of the shapes", "a finer image", "the object")
CODECS_REFUSED = ("pickle", "msgpack2")  # they run or hide code; SpatialData never uses them


def read_spatialdata(path: Path, bin_um: str, expression_rep: str, with_counts: bool, library: str = "") -> Source:
    """Read a section from a SpatialData zarr; see `open_source`. Positions are those of the shapes of the table."""
    data = _open(path)
    name = _choose_table(data, path, bin_um, library)
    table = data.tables[name]
    if library and library != name:
        table = table[_rows(table, library, path)]
    obs = with_array(table.obs)
    places = _places(table)
    place = choose_counts({key: lambda values=values: _sample(values) for key, values in places.items()}, path.name)
    var = table.raw.var if place == "raw.X" else table.var
    empty = csr_matrix((table.n_obs, len(var)), dtype=np.int32)
    counts = csr_matrix(plain(sound(places[place], path.name))) if with_counts else empty
    shapes, others = _shapes_of(data, table, name, path)
    xy = _centres(table, name, shapes, path)
    factors, images, askew = _images(data, shapes, others) if shapes is not None else ({}, {}, ())
    if shapes is not None and "radius" in shapes:
        factors["spot_diameter_fullres"] = float(2 * shapes["radius"].median())
    factors |= _own_scales(table, path)
    is_cells = are_cells(bin_um, next(iter(obs.index), ""))
    features = {expression_rep: features_of(table.obsm, expression_rep, table.n_obs)} if expression_rep else {}
    return Source(
        path=path,
        matrix=matrix_of(counts, obs, var, path.name),
        is_filtered="in_tissue" not in obs,
        positions=positions_of(obs, xy, path.name),
        factors=factors,
        images=images,
        askew=askew,
        layout=", ".join(filter(None, [path.name, f"counts in {place} of the table {name}", library])),
        bin_um=bin_size(bin_um, [name, *_regions(table, data.tables[name]), *obs.index[:1]], path),
        is_on_array=is_on_array(obs) and not is_cells,
        is_cells=is_cells,
        representations=features,
        names=NAMES,
    )


def read_image(path: Path, name: str) -> np.ndarray:
    """The image `name` at its finest scale, [height, width, channels]."""
    images = _open(path).images
    if name not in images:
        raise EfnstError(f"Expected the image {name} in {path.name}, found {', '.join(images) or 'none'}.")
    finest = _finest(images[name]).transpose("y", "x", "c")
    with reading(path, Exception):
        return np.asarray(finest.data)


def _open(path: Path) -> "SpatialData":
    """The object, of zarr format 2 or 3, none of whose arrays may run code when it is read or lie elsewhere."""
    if not path.is_dir():
        raise EfnstError(f"Expected a SpatialData zarr folder, found none at {path}: check the column section.")
    require_own_files(path)
    needed(*BY_ANNDATA)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about formats to come
        import numcodecs.errors
        import zarr.errors
        from spatialdata import read_zarr

        forget_codecs()
        logging.getLogger("ome_zarr").setLevel(logging.ERROR)  # it reports every array
        with reading(path, Exception):  # zarr, dask, ome-zarr and geopandas have exceptions of their own
            try:
                return read_zarr(path, selection=("images", "shapes", "tables"))
            except (numcodecs.errors.UnknownCodecError, zarr.errors.UnknownCodecError) as error:
                raise EfnstError(
                    f"Expected arrays that are safe to read in {path.name}, found one of another kind ({error}): do "
                    "not use this file."
                ) from error


def forget_codecs() -> None:
    """Take from this process what decodes pickles, so that no spelling or place of an array's metadata finds it."""
    from numcodecs.registry import codec_registry, entries

    for codec in CODECS_REFUSED:
        codec_registry.pop(codec, None)
        entries.pop(codec, None)


def _choose_table(data: "SpatialData", path: Path, bin_um: str, library: str) -> str:
    """The table of the section: the only one, that of the bins asked for, or that called `library` or its shapes."""
    names = [name for name, table in data.tables.items() if TABLE_ATTRIBUTES in table.uns]
    about = [name for name in names if library in _every_region(data.tables[name])]
    chosen = [library] if library in names else about or names
    if bin_um and library not in names:
        asked = re.compile("cell|segment" if bin_um == CELLS else f"square_{int(bin_um):03d}um$", re.IGNORECASE)
        chosen = [name for name in names if asked.search(name)]
    if not chosen and len(names) == 1:
        chosen = names
    if len(chosen) != 1:
        found = ", ".join(names) or "none"
        raise EfnstError(
            f"Expected one table about shapes in {path.name}, found {found}: give bin_um where there are several, "
            "or the name of one of them in the column library."
        )
    return chosen[0]


def _rows(whole: "AnnData", library: str, path: Path) -> np.ndarray:
    """The rows of one section of a table, bool [n], by the name of its shapes or a value of a column."""
    key, regions = whole.uns[TABLE_ATTRIBUTES].get("region_key"), _every_region(whole)
    if library in regions and (key in whole.obs or len(regions) == 1):
        return (whole.obs[key] == library).to_numpy() if key in whole.obs else np.ones(whole.n_obs, bool)
    return rows_of_section(with_array(whole.obs), library, path.name)


def _shapes_of(
    data: "SpatialData", table: "AnnData", name: str, path: Path
) -> "tuple[GeoDataFrame | None, list[GeoDataFrame]]":
    """The shapes that a table is about, or those beside the labels that it is about; None where there are only labels.

    Second the shapes of other sections, where `table` is a part of that called `name`. Labels are
    pixels numbered by bin or cell, under the name of the shapes with _labels behind.
    """
    every, regions = _every_region(data.tables[name]), _regions(table, data.tables[name])
    is_labels = len(regions) == 1 and regions[0] not in data.shapes and SPATIAL in data.tables[name].obsm
    if len(regions) != 1 or not (is_labels or regions[0] in data.shapes):
        raise EfnstError(
            f"Expected the table {name} of {path.name} to be about the shapes of one section, found "
            f"{', '.join(map(str, regions)) or 'none'}: give each a row, with this name in the column library."
        )
    others = [data.shapes[region] for region in every if region != regions[0] and region in data.shapes]
    return data.shapes.get(regions[0].removesuffix("_labels")), others


def _every_region(whole: "AnnData") -> list[str]:
    """The shapes or labels that a table is about."""
    region = whole.uns[TABLE_ATTRIBUTES]["region"]
    return [region] if isinstance(region, str) else list(region or [])


def _regions(table: "AnnData", whole: "AnnData") -> list[str]:
    """Those that a part of it is about."""
    key = whole.uns[TABLE_ATTRIBUTES].get("region_key")
    return [region for region in _every_region(whole) if key not in table.obs or (table.obs[key] == region).any()]


def _centres(table: "AnnData", name: str, shapes: "GeoDataFrame | None", path: Path) -> np.ndarray | pd.DataFrame:
    """x and y of what the table is about, float64 [n, 2]: of its shapes, or of obsm where it is about labels."""
    keys = table.obs[table.uns[TABLE_ATTRIBUTES]["instance_key"]]
    if shapes is not None and keys.isin(shapes.index).all() and shapes.index.is_unique:
        centres = shapes.geometry.loc[keys].centroid
        return np.column_stack([centres.x, centres.y])
    if shapes is None or str(table.uns[TABLE_ATTRIBUTES]["region"]).endswith("_labels"):
        return table.obsm[SPATIAL]
    raise EfnstError(
        f"Expected a shape for each of the {table.n_obs} spots of the table {name} in {path.name}, found "
        f"{int(keys.isin(shapes.index).sum())}: write the object again."
    )


def _places(table: "AnnData") -> dict[str, object]:
    """Matrices that may hold counts, in the order they are looked at."""
    layers = sorted(table.layers, key=lambda name: LAYERS.index(name) if name in LAYERS else len(LAYERS))
    places = {"X": table.X} if table.X is not None else {}
    places |= {f"layers.{name}": table.layers[name] for name in layers}
    return places | ({"raw.X": table.raw.X} if table.raw is not None else {})


def _sample(matrix: object) -> np.ndarray:
    """Some values of a matrix, sparse or dense."""
    return matrix.data[:10_000] if hasattr(matrix, "indptr") else np.asarray(matrix)[:100].ravel()


def _images(
    data: "SpatialData", shapes: "GeoDataFrame", others: "list[GeoDataFrame]"
) -> tuple[dict[str, float], dict[str, str], tuple[str, ...]]:
    """Scale factors and names of the images: the finest counts as hires, another one as lowres; those that lie askew.

    Images are found by the spaces of coordinates that the shapes have and `others`, of other sections, have not.
    """
    from spatialdata.transformations import get_transformation

    of_shapes = {space: _matrix(how) for space, how in get_transformation(shapes, get_all=True).items()}
    for other in others:
        of_shapes = {
            space: of_shapes[space] for space in of_shapes if space not in get_transformation(other, get_all=True)
        }
    found: dict[str, float | None] = {}
    for name, image in data.images.items():
        for space, how in get_transformation(image, get_all=True).items():
            if space in of_shapes:
                found[name] = _scale(of_shapes[space], _matrix(how)) or found.get(name)
    scales = {name: scale for name, scale in found.items() if scale}
    ordered = sorted(scales, key=scales.get, reverse=True)
    kinds = dict(zip(("hires", "lowres"), ordered, strict=False))
    if len(ordered) == 1 and "lowres" in ordered[0]:
        kinds = {"lowres": ordered[0]}
    askew = tuple(name for name in found if name not in scales)
    return {f"tissue_{kind}_scalef": scales[name] for kind, name in kinds.items()}, kinds, askew


def _own_scales(table: "AnnData", path: Path) -> dict[str, float]:
    """µm per px where the table says it, as the tables that we write do."""
    held = table.uns.get(SPATIAL)
    factors = [each.get("scalefactors") for each in held.values()] if isinstance(held, dict) and len(held) == 1 else []
    scales = checked_scales(factors[0], f"{SCALES} of {path.name}") if factors and factors[0] else {}
    return {name: scales[name] for name in ("microns_per_pixel",) if name in scales}


def _matrix(transformation: object) -> np.ndarray:
    """A transformation as an affine matrix [3, 3] of x and y."""
    return np.asarray(transformation.to_affine_matrix(AXES, AXES), float)


def _scale(of_shapes: np.ndarray, of_image: np.ndarray) -> float | None:
    """The scale between matrices that only scale; None for any others, which an image is not used with."""
    if not (np.isfinite(of_image).all() and np.linalg.det(of_image)):
        return None
    matrix = np.linalg.inv(of_image) @ of_shapes
    scale = float(matrix[0, 0])
    rest = np.abs(matrix[:2, :2] - scale * np.eye(2)).max()
    is_straight = scale > 0 and rest <= STRAIGHT * scale and np.abs(matrix[:2, 2]).max() <= SHIFT_PX
    return scale if is_straight else None


def _finest(image: object) -> object:
    """The largest scale of an image, which may have several."""
    return next(iter(image["scale0"].data_vars.values())) if hasattr(image, "keys") and "scale0" in image else image
