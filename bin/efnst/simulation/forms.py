"""Simulated sections in other forms: archives, .h5ad and SpatialData.

Each function takes a folder as `space_ranger.write_section` wrote it to another form.
"""

import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData
from PIL import Image
from scipy import sparse

from efnst.simulation.feature_matrix import GENE_EXPRESSION, read_matrix
from efnst.simulation.space_ranger import read_positions_table

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from xarray import DataArray


def pack(folder: Path, archive: Path, name: str = "outs", compressed: bool = True) -> Path:
    """Pack a folder into an archive, as the folder `name` in it; `.` for its content alone."""
    with tarfile.open(archive, "w:gz" if compressed else "w") as file:
        file.add(folder, arcname=name)
    return archive


def to_anndata(outs: Path, counts_in: str = "X") -> AnnData:
    """A folder as squidpy would read it: images and scale factors in uns, spots in tissue.

    `counts_in`: X, layer (X is logarithmic then), raw (so is X, of every second gene), or nowhere.
    """
    matrix, _ = read_matrix(outs)
    is_gene = matrix.types == GENE_EXPRESSION
    counts = sparse.csr_matrix(matrix.counts.T)[:, is_gene]
    table = read_positions_table(outs).set_index("barcode").loc[matrix.barcodes]
    var = pd.DataFrame({"gene_ids": matrix.ids[is_gene]}, index=matrix.names[is_gene])
    data = AnnData(counts.astype(np.float32), obs=table[["in_tissue", "array_row", "array_col"]], var=var)
    data.obsm["spatial"] = table[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy()
    data.uns["spatial"] = {"simulated": _images_and_scales(outs / "spatial")}
    return data if counts_in == "X" else _with_logarithms(data, counts_in)


def _images_and_scales(spatial: Path) -> dict:
    """What squidpy keeps in uns of one library: the images that are there, float32 0 to 1, and their scale factors."""
    paths = {source: spatial / f"tissue_{source}_image.png" for source in ("hires", "lowres")}
    images = {source: np.asarray(Image.open(path)) / np.float32(255) for source, path in paths.items() if path.exists()}
    return {"images": images, "scalefactors": json.loads((spatial / "scalefactors_json.json").read_text())}


def _with_logarithms(data: AnnData, counts_in: str) -> AnnData:
    """Logarithms in X; the counts in a layer, in raw, or nowhere."""
    if counts_in == "layer":
        data.layers["counts"] = data.X.copy()
    if counts_in == "raw":
        data.raw = data.copy()
        data = data[:, ::2].copy()
    data.X = data.X.log1p()
    return data


def write_spatialdata(outs: Path, path: Path, table_name: str = "table", **format_of: object) -> None:
    """Write a folder as spatialdata-io would: circles in full-resolution px, the hires image in its own pixels.

    `format_of` goes to `SpatialData.write`; by default the store has zarr format 3.
    """
    from spatialdata import SpatialData
    from spatialdata.models import TableModel

    data = to_anndata(outs)
    library = data.uns.pop("spatial")["simulated"]
    circles = _circles(data.obsm["spatial"], library)
    data.obs["region"], data.obs["spot_id"] = pd.Categorical(["spots"] * data.n_obs), np.arange(data.n_obs)
    table = TableModel.parse(data, region="spots", region_key="region", instance_key="spot_id")
    SpatialData(images=_pictures(library), shapes={"spots": circles}, tables={table_name: table}).write(
        path, **format_of
    )


def _circles(xy: np.ndarray, library: dict) -> "GeoDataFrame":
    """The spots [n, 2] as circles in full-resolution px, with the way to the pixels of each image."""
    from spatialdata.models import ShapesModel
    from spatialdata.transformations import Identity, Scale

    factors = library["scalefactors"]
    scales = {f"downscaled_{source}": factors[f"tissue_{source}_scalef"] for source in library["images"]}
    spaces = {space: Scale([scale, scale], axes=("x", "y")) for space, scale in scales.items()}
    return ShapesModel.parse(
        xy,
        geometry=0,
        radius=factors["spot_diameter_fullres"] / 2,
        index=np.arange(len(xy)),
        transformations={"global": Identity()} | spaces,
    )


def _pictures(library: dict) -> "dict[str, DataArray]":
    """The images as uint8 [3, height, width], each in its own pixels."""
    from spatialdata.models import Image2DModel
    from spatialdata.transformations import Identity

    return {
        f"{source}_image": Image2DModel.parse(
            np.rint(pixels * 255).astype(np.uint8).transpose(2, 0, 1),
            dims=("c", "y", "x"),
            transformations={f"downscaled_{source}": Identity()},
        )
        for source, pixels in library["images"].items()
    }
