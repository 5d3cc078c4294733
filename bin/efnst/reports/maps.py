"""The maps of a section's report: where its spots lie in the picture, and what each map shows of them."""

from dataclasses import dataclass
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from PIL import Image

from efnst.errors import EfnstError
from efnst.genes.expression import log_normalise
from efnst.geometry.outlines import grid_turn
from efnst.geometry.raster import rasterise
from efnst.image.picture import MAX_IMAGE_PX, plain, small_image
from efnst.inputs.located import image_path
from efnst.names import (
    BASELINES,
    CONFIDENCE,
    DOMAIN,
    LABEL,
    METHOD_TITLES,
    NAME,
    NAME_PROBABILITY,
    NOVELTY,
    SECTION,
    SPATIAL,
)
from efnst.palette import division_colours
from efnst.records.domains import Description
from efnst.reports.packing import packed, packed_indices, packed_levels, packed_text

DRAWN_SPOTS = 20_000  # more are drawn as a raster, and so are cells on no regular grid
RASTER_PX = 1000  # longest side of it
QC_LAYERS = {
    "total_counts": "Counts (UMIs)",
    "n_genes_by_counts": "Genes",
    "pct_counts_mt": "% mitochondrial",
    "pct_counts_ribo": "% ribosomal",
    "pct_counts_hb": "% haemoglobin",
    CONFIDENCE: "Confidence of the domain",
    NOVELTY: "Novelty beside the reference",
    NAME_PROBABILITY: "Probability of the name",
}


@dataclass(frozen=True)
class View:
    """The plane the maps are drawn in: pixels of the embedded image, or of the array where there is no image."""

    width: float
    height: float
    xy: np.ndarray  # float64 [n_spots, 2]
    pitch: float
    spot_diameter: float
    um_per_px: float
    grid: str  # hexagonal, square or irregular
    cell: np.ndarray  # float64 [4 or 6, 2]: outline around a spot that fills the plane
    window: tuple[float, float, float, float]  # x0, y0, x1, y1 around the spots
    origin: np.ndarray  # float64 [2]: where the plane begins, in full-resolution px
    scale: float  # px of the plane per full-resolution px

    def on_plane(self, positions: np.ndarray) -> np.ndarray:
        """Places in full-resolution px, float64 [n, 2], in the plane."""
        return (positions - self.origin) * self.scale


def read_picture(data: anndata.AnnData, folder: Path, image: Path | None) -> Image.Image | None:
    """The small H&E image of the section, None if it has none; `image`: its full-resolution file, where used."""
    section = plain(data.uns[SECTION])
    path = image_path(section, folder, image)
    return small_image(path, section) if path else None


def section_view(data: anndata.AnnData, image: Image.Image | None) -> View:
    """Place the spots on the small image, or on a plane of their own."""
    section, spatial = plain(data.uns[SECTION]), data.obsm[SPATIAL]
    pitch = float(section["pitch_px"])
    origin, scale, (width, height) = _plane(section, spatial, image)
    xy = (spatial - origin) * scale
    margin = 1.5 * pitch * scale
    low, high = xy.min(axis=0) - margin, xy.max(axis=0) + margin
    return View(
        width=float(width),
        height=float(height),
        xy=xy,
        pitch=pitch * scale,
        spot_diameter=float(section["spot_diameter_px"]) * scale,
        um_per_px=float(section["um_per_px"]) / scale,
        grid=str(section["grid"]),
        cell=cell_outline(spatial, pitch, section["grid"]) * scale,
        window=(float(low[0]), float(low[1]), float(high[0]), float(high[1])),
        origin=origin,
        scale=scale,
    )


def _plane(
    section: dict, spatial: np.ndarray, image: Image.Image | None
) -> tuple[np.ndarray, float, tuple[float, float]]:
    """Where the plane of the maps begins in full-resolution px, its px per full-resolution px, its width and height."""
    if image:
        scale = float(section["image"]["scale"]) * image.width / float(section["image"]["width"])
        return np.zeros(2), scale, image.size
    pitch = float(section["pitch_px"])
    extent = np.ptp(spatial, axis=0) + 2 * pitch
    scale = MAX_IMAGE_PX / extent.max()
    return spatial.min(axis=0) - pitch, scale, tuple(extent * scale)


def cell_outline(spatial: np.ndarray, pitch: float, grid: str) -> np.ndarray:
    """Corners of the hexagon or square around a spot that fills the plane, turned as the grid lies: [n_corners, 2]."""
    n_corners = 4 if grid == "square" else 6
    corners = grid_turn(spatial, pitch, n_corners) + (np.arange(n_corners) + 0.5) * 2 * np.pi / n_corners
    return pitch / 2 / np.cos(np.pi / n_corners) * np.column_stack([np.cos(corners), np.sin(corners)])


def map_data(data: anndata.AnnData, view: View, description: Description, layout: pd.DataFrame | None = None) -> dict:
    """Everything the maps of the report need, ready for JSON; `layout`: umap.csv."""
    layers = [(key, title) for key, title in QC_LAYERS.items() if key in data.obs and data.obs[key].nunique() > 1]
    places = {"x": packed_levels(view.xy[:, 0]), "y": packed_levels(view.xy[:, 1])}
    is_raster = data.n_obs > DRAWN_SPOTS or view.grid == "irregular"
    return {
        "n": data.n_obs,
        "width": round(view.width, 1),
        "height": round(view.height, 1),
        "window": [round(value, 1) for value in view.window],
        "pitch": view.pitch,
        "radius": view.spot_diameter / 2,
        "umPerPx": view.um_per_px,
        "cell": np.round(view.cell, 2).tolist(),
        "barcodes": packed_text(data.obs_names.tolist()),
        "divisions": divisions(data.obs),
        "values": [_value_layer(key, title, data.obs[key]) for key, title in layers],
        "genes": gene_layers(data, description),
        "umap": layout_data(data, layout),
    } | ({"raster": _raster_data(view)} if is_raster else places)


def _raster_data(view: View) -> dict:
    """The spot that each pixel of the raster shows."""
    raster = rasterise(view.xy, view.pitch, view.grid, view.window, RASTER_PX)
    height, width = raster.spot.shape
    place = {"width": width, "height": height, "x0": raster.origin[0], "y0": raster.origin[1]}
    return place | {"scale": raster.scale, "spot": packed_indices(raster.spot)}


def layout_data(data: anndata.AnnData, layout: pd.DataFrame | None) -> dict | None:
    """The spots of umap.csv and their places; None where there is no layout."""
    if layout is None or layout.empty:
        return None
    spots = data.obs_names.get_indexer(layout["barcode"])
    if (spots < 0).any():
        raise EfnstError(
            "Expected umap.csv to be of the spots of this .h5ad, found others: run describe_domains again."
        )
    return {"spots": packed_indices(spots)} | {
        axis: packed_levels(layout[column].to_numpy()) for axis, column in (("x", "umap_1"), ("y", "umap_2"))
    }


def divisions(obs: pd.DataFrame) -> list[dict]:
    """The divisions of the spots that can be compared: EfNST, the baselines, the given labels, names learned."""
    titles = METHOD_TITLES | {key: f"Baseline: {METHOD_TITLES[key]}" for key in BASELINES} | {LABEL: "Given labels"}
    titles |= {NAME: "Names, from labels of other sections"}
    domains = obs[DOMAIN].astype("category").array
    layers = []
    for key, title in titles.items():
        if key not in obs or obs[key].isna().all():
            continue
        groups = obs[key].astype("category").array
        colours = division_colours(groups, domains, is_numbered=key not in (LABEL, NAME))
        names = groups.categories.astype(str).tolist()
        codes = packed(groups.codes.astype(np.int32).astype(np.uint16))  # none: -1 becomes 65,535
        layers.append({"key": key, "title": title, "names": names, "colours": colours, "codes": codes})
    return layers


def gene_layers(data: anndata.AnnData, description: Description) -> list[dict]:
    """Normalised expression of the genes worth a map, as 256 levels: the top spatial genes and each domain's best."""
    best = {genes[0]: f"marker of domain {domain}" for domain, genes in description.top_markers.items() if genes}
    why = {gene: "spatially variable" for gene in description.top_spatial_genes[:8]} | best
    expression = log_normalise(data.X).tocsc()
    layers = []
    for gene, reason in why.items():
        values = expression[:, [data.var_names.get_loc(gene)]].toarray().ravel()
        top = float(np.quantile(values, 0.995)) or float(values.max()) or 1.0
        levels = np.round(255 * np.minimum(values / top, 1)).astype(np.uint8)
        scale = {"low": 0, "high": round(top, 3), "least": 0, "step": top / 255, "unit": "log-normalised"}
        layers.append({"key": f"gene {gene}", "title": gene, "why": reason} | scale | packed(levels))
    return layers


def _value_layer(key: str, title: str, column: pd.Series) -> dict:
    """One continuous map; its colours run from the 1st to the 99th percentile, or over all values if these are one."""
    values = column.to_numpy(dtype=float)
    low, high = (float(f"{value:.4g}") for value in np.nanquantile(values, [0.01, 0.99]))
    if low == high:
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return {"key": key, "title": title, "low": low, "high": high} | packed_levels(values)
