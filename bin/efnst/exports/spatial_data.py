"""A section as SpatialData: pictures, spots, domains and the table that annotates the spots, in one place."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from anndata import AnnData

from efnst.errors import EfnstError
from efnst.image.picture import stored_picture
from efnst.names import DOMAIN, SECTION, SPATIAL
from efnst.program.spared import BY_ANNDATA, needed

needed(*BY_ANNDATA)
with warnings.catch_warnings():  # of deprecations in its own imports, which a user can do nothing about
    warnings.simplefilter("ignore")
    from geopandas import GeoDataFrame
    from spatialdata import SpatialData
    from spatialdata.models import Image2DModel, ShapesModel, TableModel
    from spatialdata.transformations import Identity, Scale


def write_spatial_data(section: AnnData, sample: str, outlines: dict[str, shapely.Geometry], path: Path) -> None:
    """Write `section` as a zarr store; `outlines` are those of the domains by name, in full-resolution px.

    Elements are `<sample>_hires_image`, `<sample>_lowres_image` (where there is an image), `<sample>_spots` (circles),
    `<sample>_domains` (polygons) and `table`, which annotates the spots. All lie in the coordinate system `<sample>`,
    in full-resolution px (or `<sample>_um`, where positions are no px), so that sections can be joined; pictures also
    in one each of their own px.
    """
    if path.exists():
        raise EfnstError(f"Expected no `{path.name}` yet, found one: remove it, or choose another folder.")
    pictures, scales = stored_picture(section, sample)
    own = {f"{sample}_downscaled_{name}": Scale([scale, scale], axes=("x", "y")) for name, scale in scales.items()}
    places = {f"{sample}_um" if section.uns[SECTION].get("in_um") else sample: Identity()} | own
    images = {f"{sample}_{name}_image": _image(pixels, sample, name, scales[name]) for name, pixels in pictures.items()}
    shapes = {f"{sample}_spots": _spots(section, places), f"{sample}_domains": _domains(outlines, places)}
    table = _table(section, sample)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        SpatialData(images=images, shapes=shapes, tables={"table": table}).write(path)


def _image(pixels: np.ndarray, sample: str, name: str, scale: float) -> Image2DModel:
    """A picture uint8 [height, width, 3] with its places."""
    places = {
        sample: Scale([1 / scale, 1 / scale], axes=("x", "y")),
        f"{sample}_downscaled_{name}": Identity(),
    }
    return Image2DModel.parse(pixels, dims=("y", "x", "c"), c_coords=["r", "g", "b"], transformations=places)


def _spots(section: AnnData, places: dict) -> GeoDataFrame:
    """The spots as circles."""
    radius = float(section.uns[SECTION]["spot_diameter_px"]) / 2
    xy = np.asarray(section.obsm[SPATIAL], float)
    return ShapesModel.parse(
        xy, geometry=0, radius=radius, index=np.arange(section.n_obs), transformations=dict(places)
    )


def _domains(outlines: dict[str, shapely.Geometry], places: dict) -> GeoDataFrame:
    """The domains as polygons, one for each connected piece: spatialdata-plot fails at multipolygons with holes."""
    pieces, numbers = shapely.get_parts(list(outlines.values()), return_index=True)
    names = pd.Categorical.from_codes(numbers, list(outlines))
    return ShapesModel.parse(GeoDataFrame({DOMAIN: names, "geometry": pieces}), transformations=dict(places))


def _table(section: AnnData, sample: str) -> AnnData:
    """Counts, domains and embeddings of the spots; pictures and spots are elements of their own, scales stay in uns."""
    table, region = section.copy(), f"{sample}_spots"
    scales = {name: held["scalefactors"] for name, held in table.uns.pop(SPATIAL, {}).items()}
    table.uns[SPATIAL] = {name: {"scalefactors": factors} for name, factors in scales.items()}
    table.obs["region"] = region
    table.obs["region"] = table.obs["region"].astype("category")
    table.obs["spot_id"] = np.arange(table.n_obs)
    return TableModel.parse(table, region=region, region_key="region", instance_key="spot_id")
