"""Labels drawn as regions: QuPath annotations, GeoJSON polygons in pixels of the full-resolution image."""

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import shapely

from efnst.errors import EfnstError, damaged, reading
from efnst.inputs.missing import is_missing
from efnst.inputs.one_line import EXPECTED, is_one_line
from efnst.program.documents import document_text, load_json
from efnst.program.parameters import show

SUFFIXES = (".geojson", ".json")
MAX_BYTES = 200_000_000  # outlines drawn by a pixel classifier have some 10 MB
MAX_REGIONS = 10_000
AREAS = ("Polygon", "MultiPolygon")
BARE = (*AREAS, "GeometryCollection")  # without the properties that a feature has
ANNOTATION = "annotation"  # QuPath's word for what people draw; others are its cells, detections and tiles
OLD_ANNOTATION, OLD_OBJECT = "PathAnnotationObject", re.compile(r"(Path|TMACore)\w*Object")  # its `id` before 0.4
BROKEN = (
    "annotations whose outline cannot be read (without corners, with too few, or with some that are no finite numbers)"
)
FEW_INSIDE, MANY_INSIDE = 0.5, 0.9  # shares of the spots that lie in regions, as they are and in another unit
READERS = (TypeError, AttributeError, shapely.errors.ShapelyError)  # how shapely refuses coordinates


@dataclass(frozen=True)
class Region:
    """One region with its label."""

    label: str
    outline: shapely.Polygon | shapely.MultiPolygon


def is_annotations(path: Path) -> bool:
    """Whether a file of labels is one of regions: GeoJSON by its name, or JSON that does not begin as a table does."""
    ending = path.suffix.lower()
    if ending != ".json" or not path.is_file():
        return ending in SUFFIXES
    with reading(path), path.open("rb") as file:
        start = file.read(1000).removeprefix(codecs.BOM_UTF8).lstrip()
    return start[:1] in (b"{", b"[")


def read_annotations(path: Path) -> tuple[list[Region], list[str]]:
    """The classified regions of a GeoJSON file as QuPath exports it, and warnings about what is left out.

    A FeatureCollection, a list of features or a single one. Raises EfnstError where no region has a class.
    """
    if not path.is_file():
        raise EfnstError(f"Expected a file of labels, found no file {path}: check the column labels.")
    text = document_text(path, MAX_BYTES)
    with reading(path):
        features = _features(load_json(text), path)
    regions, left_out = [], {}
    for feature in features:
        reason, label, geometry = _parts(feature)
        outline = None if reason else _outline(geometry, path)
        if outline is None:
            left_out.setdefault(reason or BROKEN, []).append(label)
        elif not is_one_line(label):
            raise EfnstError(
                f"Expected classes in {path.name} to be {EXPECTED} each, found {show(label)}: rename it in QuPath."
            )
        else:
            regions.append(Region(label, outline))
    if not regions:
        found = "; ".join(f"{len(labels)} {reason}" for reason, labels in left_out.items()) or "no feature"
        raise EfnstError(
            f"Expected polygons with a class in {path.name}, found {found}: give each annotation a class in QuPath, "
            "and export annotations as GeoJSON."
        )
    return regions, [_said(reason, labels, path) for reason, labels in left_out.items()]


def _said(reason: str, labels: list[str], path: Path) -> str:
    """A warning about features that were left out, with their labels where they have some."""
    first = f", the first of class {labels[0]}" if labels[0] else ""
    return f"{len(labels)} {reason} of {path.name} were left out{first}."


def labels_of_places(places: np.ndarray, regions: list[Region]) -> tuple[pd.Categorical, list[str]]:
    """The label of each place, missing outside of all regions, and a warning where regions of several labels overlap.

    places: float64 [n, 2], x and y. Of several regions around a place the smallest counts, so that a region drawn
    within another one goes before it; each polygon of several is a region here, as one of them may lie within another
    region and others outside. Where an outline crosses itself, insides are told by even and odd.
    """
    labels = sorted({region.label for region in regions})
    numbers = {label: number for number, label in enumerate(labels)}
    codes, overlap = np.full(len(places), -1), np.zeros(len(places), dtype=bool)
    pieces = [(piece, numbers[region.label]) for region in regions for piece in shapely.get_parts(region.outline)]
    tree = shapely.STRtree(shapely.points(places))
    for piece, number in sorted(pieces, key=lambda piece: -shapely.make_valid(piece[0]).area):
        inside = tree.query(piece, predicate="intersects")
        overlap[inside] |= (codes[inside] >= 0) & (codes[inside] != number)
        codes[inside] = number
    n_overlap = int(overlap.sum())
    said = f"{n_overlap} spots lie in regions of several labels; the smallest region counts."
    found = pd.Categorical.from_codes(codes, labels).remove_unused_categories()
    return found, [said] if n_overlap else []


def region_labels(
    names: pd.Index, places: np.ndarray, path: Path, scales: dict[str, float] | None = None
) -> tuple[pd.Categorical, list[str]]:
    """Labels of the spots `names` at `places` by the regions of a file, and warnings; missing outside of all.

    `scales` are other units that regions may be in by mistake, and how many of each one px is.
    """
    regions, warnings = read_annotations(path)
    labels, more = labels_of_places(places, regions)
    n_inside = int((labels.codes >= 0).sum())
    meant = _other_unit(places, regions, scales or {}) if n_inside < FEW_INSIDE * len(names) else ""
    if not n_inside:
        corners = shapely.total_bounds([region.outline for region in regions]).round().astype(int).tolist()
        spots = [*places.min(axis=0).round().astype(int).tolist(), *places.max(axis=0).round().astype(int).tolist()]
        raise EfnstError(
            f"Expected regions around spots of the section, found none of its {len(names)} spots in the {len(regions)} "
            f"regions of {path.name} (x, y of the regions from {corners[:2]} to {corners[2:]}, of the spots from "
            f"{spots[:2]} to {spots[2:]}{meant}): draw them on the full-resolution image that Space Ranger was given."
        )
    return labels, [*warnings, *more, *_outside(len(names) - n_inside, len(names), meant)]


def _other_unit(places: np.ndarray, regions: list[Region], scales: dict[str, float]) -> str:
    """What is said where the regions fit the spots in another unit, empty where they do not."""
    for unit, scale in scales.items():
        share = (labels_of_places(places * scale, regions)[0].codes >= 0).mean()
        if share > MANY_INSIDE:
            return f"; {share:.0%} of the spots would lie in them if they were in {unit}"
    return ""


def _outside(n_outside: int, n_spots: int, meant: str) -> list[str]:
    """A warning where spots lie in no region, with what is said of another unit."""
    todo = f"{meant}: draw them on the full-resolution image that Space Ranger was given" if meant else ""
    return [f"{n_outside} of {n_spots} spots lie in no region of the labels{todo}."] if n_outside else []


def _features(content: object, path: Path) -> list:
    """The features of a file."""
    if isinstance(content, dict) and content.get("type") in BARE:
        raise EfnstError(
            f"Expected features with a class in {path.name}, found a {content['type']} by itself, which has none: "
            "export annotations as GeoJSON from QuPath."
        )
    if isinstance(content, dict):
        is_collection = content.get("type") == "FeatureCollection" or "features" in content
        content = content.get("features") if is_collection else [content]
    if not isinstance(content, list):
        raise damaged(path, "no GeoJSON features")
    if len(content) > MAX_REGIONS:
        raise EfnstError(
            f"Expected at most {MAX_REGIONS} regions in {path.name}, found {len(content)}: export annotations only, "
            "without cells and detections."
        )
    return content


def _parts(feature: object) -> tuple[str, str, dict]:
    """Why a feature is left out (empty: it is not), its label where it has one, and its geometry."""
    properties, geometry = _object(_object(feature).get("properties")), _object(_object(feature).get("geometry"))
    if not _is_drawn(properties, _object(feature).get("id")):
        return "cells, detections or tiles", "", geometry
    if geometry.get("type") not in AREAS:
        return "annotations that are no polygons", "", geometry
    label = _class(properties.get("classification"))
    return ("annotations without a class", "", geometry) if is_missing(label) else ("", label, geometry)


def _is_drawn(properties: dict, name: object) -> bool:
    """Whether an object with this `id` is an annotation; what says nothing of it is one, as from other programs."""
    kind = properties.get("objectType", properties.get("object_type"))
    if kind is not None:
        return kind == ANNOTATION
    return name == OLD_ANNOTATION or not OLD_OBJECT.fullmatch(str(name))


def _object(value: object) -> dict:
    """A JSON object; an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def _class(classification: object) -> str:
    """The name of a class as QuPath shows it, on one line; empty where there is none."""
    about = {"name": classification} if isinstance(classification, str) else _object(classification)
    names = about.get("name") or about.get("names")
    names = names if isinstance(names, list) else [names]
    return " ".join(": ".join(name for name in names if isinstance(name, str)).split())


def _outline(geometry: dict, path: Path) -> shapely.Polygon | shapely.MultiPolygon | None:
    """A polygon or several, with holes, as GeoJSON has them; None of what is none, or has corners that are not finite.

    A click by mistake leaves an outline of a corner or two, which is no reason to go without the others.
    """
    try:
        with reading(path, *READERS):
            outline = shapely.geometry.shape({"type": geometry["type"], "coordinates": geometry["coordinates"]})
    except EfnstError:
        return None
    is_sound = not outline.is_empty and np.isfinite(shapely.get_coordinates(outline)).all()
    return outline if is_sound else None
