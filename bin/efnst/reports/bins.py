"""The domains of single bins or cells, for the large map: an image with one pixel for each bin."""

import numpy as np
from anndata import AnnData

from efnst.geometry.array_fit import ArrayFit
from efnst.geometry.grid import IRREGULAR, believed_array
from efnst.geometry.raster import rasterise
from efnst.image.picture import plain
from efnst.inputs.barcodes import BIN_PLACE
from efnst.names import DOMAIN, SECTION, SPATIAL, UNIT
from efnst.reports.maps import View
from efnst.reports.packing import packed

RASTER_PX = 2000  # longest side of the image of cells, which lie on no array
NONE = 65_535  # a pixel without a bin


def name_domains_alike(units: AnnData, bins: AnnData) -> None:
    """Give both the same categories of domains, those of either in numeric order: neither need have all of them."""
    both = [each.obs[DOMAIN].astype("category").cat for each in (units, bins)]
    names = sorted(set().union(*(found.categories for found in both)), key=int)
    units.obs[DOMAIN], bins.obs[DOMAIN] = (found.set_categories(names) for found in both)


def bins_layer(bins: AnnData, view: View) -> dict:
    """The image: `codes` uint16 [height · width] of domains, and `affine`, from its pixels to the plane of the maps.

    `affine` is a, b, c, d, e and f of x' = a·x + c·y + e and y' = b·x + d·y + f, as a canvas takes them; `counts`
    [n_domains] are bins. Domains are numbered as in the categories, which are those of the units.
    """
    codes = bins.obs[DOMAIN].cat.codes.to_numpy()
    xy = view.on_plane(bins.obsm[SPATIAL])
    pitch = float(bins.uns[SECTION]["pitch_px"]) * view.scale
    array = bins.obs[["array_row", "array_col"]].to_numpy()
    fit = None if _is_scattered(bins) else believed_array(xy, array, pitch)
    image, affine = _array(array, codes, fit) if fit else _nearest(xy, codes, pitch, bins, view)
    height, width = image.shape
    facts = plain(bins.uns[SECTION])
    what = "cells" if _is_scattered(bins) else f"bins of {facts['bin_um']:g} µm"
    place = {"width": width, "height": height, "affine": [float(value) for value in affine]}
    counts = np.bincount(codes, minlength=len(bins.obs[DOMAIN].cat.categories)).tolist()
    return place | {"what": what, "n": bins.n_obs, "counts": counts, "codes": packed(image.ravel())}


def width_of_named(units: AnnData, bins: AnnData) -> float | None:
    """The width of the units in µm where the barcode of a bin says, by its place, in which of them it lies; else None.

    Then a bin at row r of an array of w µm lies in the unit at row ⌊r · w / width⌋, and by columns likewise.
    """
    facts, array = plain(bins.uns[SECTION]), ["array_row", "array_col"]
    said = bins.obs_names.to_series().str.extract(BIN_PLACE).to_numpy(float) * facts["bin_um"] // facts["unit_um"]
    of_unit = units.obs.set_index(UNIT)[array].reindex(bins.obs[UNIT]).to_numpy(float)
    kept = np.isfinite(of_unit).all(1)  # a unit that quality control left out is not there
    return facts["unit_um"] if np.array_equal(said[kept], of_unit[kept]) else None


def _is_scattered(bins: AnnData) -> bool:
    """Whether what was analysed are cells, which lie anywhere."""
    return str(bins.uns[SECTION]["grid"]) == IRREGULAR


def _array(array: np.ndarray, codes: np.ndarray, fit: ArrayFit) -> tuple[np.ndarray, tuple]:
    """One pixel for each place of the array."""
    low = array.min(0)
    image = np.full(np.ptp(array, axis=0) + 1, NONE, np.uint16)
    image[tuple((array - low).T)] = codes
    down, right = fit.steps
    start = fit.origin + (low[0] - 0.5) * down + (low[1] - 0.5) * right
    return image, (*right, *down, *start)


def _nearest(xy: np.ndarray, codes: np.ndarray, pitch: float, bins: AnnData, view: View) -> tuple[np.ndarray, tuple]:
    """Each pixel shows the nearest cell or bin, as far as that reaches."""
    raster = rasterise(xy, pitch, str(bins.uns[SECTION]["grid"]), view.window, RASTER_PX)
    image = np.where(raster.spot < 0, NONE, codes[raster.spot]).astype(np.uint16)
    return image, (1 / raster.scale, 0, 0, 1 / raster.scale, *raster.origin)
