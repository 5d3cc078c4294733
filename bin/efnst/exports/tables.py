"""Results in the form of other tools: a table for Loupe Browser, outlines for QuPath."""

import json

import numpy as np
import pandas as pd
import shapely
from anndata import AnnData

from efnst.geometry.array_fit import SQUARE
from efnst.geometry.outlines import array_cells, joined_cells, scaled, spot_cells
from efnst.image.picture import plain
from efnst.names import (
    BASELINES,
    CONFIDENCE,
    DOMAIN,
    LABEL,
    METHOD_TITLES,
    N_BINS,
    NO_IMAGE,
    PROVENANCE,
    SECTION,
    SPATIAL,
)
from efnst.palette import division_colours
from efnst.provenance.record import compact

TITLES = METHOD_TITLES | {LABEL: "label"}
UM = "um"  # in the place of an image, where positions are no pixels of one


def division_keys(obs: pd.DataFrame) -> list[str]:
    """The columns of `obs` that divide the spots: domains, baselines and, where some are given, labels."""
    return [key for key in TITLES if key in obs and obs[key].notna().any()]


def colours_of(obs: pd.DataFrame, key: str) -> list[str]:
    """Colours of the categories of `obs[key]`, those of the report."""
    return division_colours(obs[key].astype("category").array, obs[DOMAIN].astype("category").array, key != LABEL)


def loupe_table(obs: pd.DataFrame, n_domains: int = 0) -> pd.DataFrame:
    """One row per spot: `Barcode`, then a category for each division, as Loupe Browser imports them.

    Numbers become `Domain 01`, so that Loupe, which sorts names as text, lists them in order. All have as many digits,
    those of `n_domains` at least, so that a domain has one name in all columns and in all sections that share it.
    """
    numbers = obs[[DOMAIN, *reversed(BASELINES)]].astype(str)
    width = max(len(str(n_domains)), *numbers.map(len).max())
    table = numbers.map(lambda number: f"Domain {number.zfill(width)}").rename(columns=TITLES)
    return table.rename_axis("Barcode").reset_index()


def section_outlines(section: AnnData) -> dict[str, np.ndarray]:
    """For each division of the spots the outlines of its categories, in full-resolution px."""
    facts = plain(section.uns[SECTION])
    positions = np.asarray(section.obsm[SPATIAL], float)
    if "unit_um" in facts and facts["grid"] == SQUARE:
        array = section.obs[["array_row", "array_col"]].to_numpy()
        cells = array_cells(positions, array, facts["pitch_px"])
    else:
        cells = spot_cells(positions, facts["pitch_px"], facts["grid"])
    found = {}
    for key in division_keys(section.obs):
        groups = section.obs[key].astype("category").cat
        found[key] = joined_cells(cells, groups.codes.to_numpy(), len(groups.categories), facts["pitch_px"])
    return found


def outline_scales(section: AnnData) -> dict[str, float]:
    """What outlines are given in, with its px per full-resolution px: the full image and the one used, or µm."""
    facts = plain(section.uns[SECTION])
    if facts.get("in_um"):
        return {UM: 1.0}
    image = facts["image"]
    used = {} if image["source"] in (NO_IMAGE, "fullres") else {image["source"]: float(image["scale"])}
    return {"fullres": 1.0} | used


def outlines_geojson(section: AnnData, outlines: np.ndarray, image: str) -> str:
    """The domains' `outlines` as GeoJSON that QuPath imports, in px of `image`, a key of `outline_scales`.

    One annotation per domain, with class and colour, its spots (or bins, or units), area and mean confidence as
    measurements. How they were made is the member `efnst`, which GeoJSON allows and QuPath passes over.
    """
    facts, scale = plain(section.uns[SECTION]), outline_scales(section)[image]
    pieces = "Units" if N_BINS in section.obs else "Bins" if facts["bin_um"] else "Spots"
    domains, colours = section.obs[DOMAIN].astype("category").cat, colours_of(section.obs, DOMAIN)
    shapes = scaled(outlines, scale, facts["pitch_px"])
    features = []
    for code, (name, colour, shape, outline) in enumerate(
        zip(domains.categories, colours, shapes, outlines, strict=True)
    ):
        inside = domains.codes.to_numpy() == code
        measured = {pieces: int(inside.sum()), "Area µm^2": round(outline.area * facts["um_per_px"] ** 2, 1)}
        confidence = section.obs[CONFIDENCE].to_numpy(float)[inside]
        if np.isfinite(confidence).any():
            measured["Mean confidence"] = round(float(np.nanmean(confidence)), 4)
        features.append(_annotation(f"Domain {name}", colour, shape, measured))
    origin = compact(section.uns[PROVENANCE]) | {"sample": facts["sample"]}
    origin |= {"unit_of_coordinates": UM} if image == UM else {"image_of_coordinates": image}
    return json.dumps({"type": "FeatureCollection", "efnst": origin, "features": features})


def _annotation(name: str, colour: str, shape: shapely.Geometry, measurements: dict[str, float]) -> dict:
    """One annotation of QuPath; versions before 0.4 read the colour as one number."""
    channels = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
    classification = {"name": name, "color": channels, "colorRGB": int(colour[1:], 16) - 2**24}
    properties = {"objectType": "annotation", "name": name, "classification": classification, "isLocked": True}
    geometry = shapely.geometry.mapping(shape)
    return {"type": "Feature", "geometry": geometry, "properties": properties | {"measurements": measurements}}
