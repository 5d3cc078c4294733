"""Labels drawn as regions in QuPath."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from efnst.errors import EfnstError
from efnst.inputs.annotations import MAX_REGIONS, is_annotations, read_annotations, region_labels

PLACES = np.array([[x, y] for y in (5.0, 15.0, 25.0) for x in (5.0, 15.0, 25.0)])  # spots 0 to 8, row by row
NAMES = pd.Index([f"S{number}" for number in range(9)])


def square(left: float, top: float, right: float, bottom: float) -> list:
    """A closed ring."""
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def feature(geometry: dict | None, label: object = "Tumor", **properties: object) -> dict:
    """A feature as QuPath 0.4 and later write it; no class where `label` is None."""
    about = {"objectType": "annotation"} | properties
    about |= {} if label is None else {"classification": {"name": label, "color": [200, 0, 0]}}
    return {"type": "Feature", "id": "1b1f", "geometry": geometry, "properties": about}


def polygon(*rings: list) -> dict:
    """A polygon: its border, then its holes."""
    return {"type": "Polygon", "coordinates": list(rings)}


def labels_of(folder: Path, content: object, places: np.ndarray = PLACES) -> tuple[list, list[str]]:
    """Labels of the spots (None: missing) and warnings of a file with this content; one px is 0.5 µm."""
    path = folder / "drawn.geojson"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    labels, warnings = region_labels(NAMES, places, path, {"µm": 0.5})
    return [None if pd.isna(label) else label for label in labels], warnings


ALL = polygon(square(0, 0, 30, 30))
TOP = feature(polygon(square(0, 0, 30, 10)))


@pytest.mark.parametrize(
    "content",
    [
        {"type": "FeatureCollection", "features": [TOP]},
        [TOP],
        TOP,
        [feature(TOP["geometry"], object_type="annotation")],
        [{"type": "Feature", "geometry": TOP["geometry"], "properties": {"classification": "Tumor"}}],
        [{**TOP, "properties": {"classification": {"names": ["Tumor"], "colorRGB": -65536}}}],
        [feature({"type": "MultiPolygon", "coordinates": [[square(0, 0, 20, 10)], [square(20, 0, 30, 10)]]})],
    ],
)
def test_spots_get_the_class_of_the_region_around_them(tmp_path: Path, content: object) -> None:
    labels, warnings = labels_of(tmp_path, content)
    assert labels == ["Tumor"] * 3 + [None] * 6
    assert warnings == ["6 of 9 spots lie in no region of the labels."]


def test_holes_are_no_part_of_a_region(tmp_path: Path) -> None:
    ring = feature(polygon(square(0, 0, 30, 30), square(10, 10, 20, 20)))
    assert labels_of(tmp_path, [ring])[0] == ["Tumor"] * 4 + [None] + ["Tumor"] * 4


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_region_within_another_goes_before_it(tmp_path: Path, order: tuple[int, int]) -> None:
    both = [feature(ALL, "Stroma"), feature(polygon(square(10, 10, 20, 20)), "Immune cells")]
    labels, warnings = labels_of(tmp_path, [both[number] for number in order])
    assert labels == ["Stroma"] * 4 + ["Immune cells"] + ["Stroma"] * 4
    assert warnings == ["1 spots lie in regions of several labels; the smallest region counts."]


def test_each_polygon_of_an_annotation_is_as_large_as_itself(tmp_path: Path) -> None:
    """Islands that QuPath merged into one annotation, one of them within another region, are as they were before."""
    islands = [[square(10, 10, 20, 20)], [square(-90, 0, 0, 30)]]
    merged = feature({"type": "MultiPolygon", "coordinates": islands}, "Tumor")
    labels, _ = labels_of(tmp_path, [feature(ALL, "Stroma"), merged])
    assert labels == ["Stroma"] * 4 + ["Tumor"] + ["Stroma"] * 4


def test_an_outline_that_crosses_itself(tmp_path: Path) -> None:
    bow = feature(polygon([[0, 0], [30, 30], [30, 0], [0, 30], [0, 0]]))
    labels, _ = labels_of(tmp_path, [bow])
    assert labels[3] == labels[5] == "Tumor" and labels[1] is None and labels[7] is None


def test_an_outline_that_crosses_itself_is_as_large_as_what_it_encloses(tmp_path: Path) -> None:
    """Its halves, run around either way, do not cancel each other."""
    hourglass = feature(polygon([[0, 0], [30, 0], [0, 30], [30, 30], [0, 0]]))
    inner = feature(polygon(square(12, 2, 18, 8)), "Inner")
    assert labels_of(tmp_path, [inner, hourglass])[0][1] == "Inner"


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    features = [feature(ALL), feature(ALL, None), feature({"type": "Point", "coordinates": [5, 5]}), feature(None)]
    features += [feature(polygon(square(0, 0, 9, 9)), "Cell", objectType=kind) for kind in ("cell", "detection")]
    labels, warnings = labels_of(tmp_path, features)
    assert labels == ["Tumor"] * 9
    assert warnings == [
        "1 annotations without a class of drawn.geojson were left out.",
        "2 annotations that are no polygons of drawn.geojson were left out.",
        "2 cells, detections or tiles of drawn.geojson were left out.",
    ]


@pytest.mark.parametrize("kind", ["PathCellObject", "PathDetectionObject", "PathTileObject", "TMACoreObject"])
def test_cells_of_older_versions_of_qupath_are_left_out(tmp_path: Path, kind: str) -> None:
    """Before 0.4 the kind of an object stood in its `id` alone."""
    about = {"type": "Feature", "properties": {"classification": {"name": "Positive"}, "isLocked": False}}
    cell = about | {"id": kind, "geometry": polygon(square(0, 0, 9, 9))}
    drawn = about | {"id": "PathAnnotationObject", "geometry": ALL, "properties": {"classification": "Tumor"}}
    labels, warnings = labels_of(tmp_path, [drawn, cell])
    assert labels == ["Tumor"] * 9 and warnings == ["1 cells, detections or tiles of drawn.geojson were left out."]


@pytest.mark.parametrize("rings", [[], [[[1, 1], [2, 2]]], [[[1, 1], [2, None], [3, 3], [1, 1]]]])
def test_an_outline_that_is_none_is_left_out(tmp_path: Path, rings: list) -> None:
    labels, warnings = labels_of(tmp_path, [feature(ALL), feature(polygon(*rings), "Slip"), feature(ALL, "NA")])
    assert labels == ["Tumor"] * 9 and warnings[1] == "1 annotations without a class of drawn.geojson were left out."
    assert warnings[0].startswith("1 annotations whose outline cannot be read (without corners, with too few")
    assert warnings[0].endswith(" of drawn.geojson were left out, the first of class Slip.")


def test_several_classes_of_one_annotation(tmp_path: Path) -> None:
    derived = {**TOP, "properties": {"classification": {"names": ["Tumor", "necrotic\n"]}}}
    assert labels_of(tmp_path, [derived])[0][0] == "Tumor: necrotic"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([feature(ALL, None)], "found 1 annotations without a class: give each annotation a class in QuPath"),
        ([], "found no feature"),
        ("{", "cannot be read"),
        ('{"type": "FeatureCollection"}', "no GeoJSON features"),
        ("3", "no GeoJSON features"),
        ([3], "found 1 annotations that are no polygons"),
        ([{"properties": [], "geometry": "Polygon"}], "found 1 annotations that are no polygons"),
        ("[" * 100_000, "cannot be read"),
        ([feature(polygon([[0, 0], [1, 1]]))], "cannot be read"),
        ([feature(polygon([["a", "b"]] * 5))], "cannot be read"),
        ([feature({"type": "Polygon", "coordinates": []})], "without corners"),
        ([feature({"type": "Polygon"})], "cannot be read"),
        (ALL, "found a Polygon by itself, which has none: export annotations as GeoJSON from QuPath"),
        ({"type": "GeometryCollection", "geometries": [ALL]}, "found a GeometryCollection by itself"),
        ([feature(ALL, "NA")], "found 1 annotations without a class"),
        ([feature(ALL, {"a": 1})], "found 1 annotations without a class"),
        (json.dumps([feature(ALL)]).replace("30", "1e999"), "no finite numbers"),
        ([feature(polygon(square(100, 100, 200, 200)))], r"from \[100, 100\] to \[200, 200\], of the spots from"),
        ([TOP] * (MAX_REGIONS + 1), "at most 10000 regions"),
        ([feature(ALL, "x" * 201)], 'single line of at most 200 characters each, found "x+…: rename it in QuPath'),
        ([feature(ALL, "a\x00b")], r'found "a\\u0000b": rename'),
        ([feature(ALL, "\ud800")], "rename it in QuPath"),
    ],
)
def test_files_that_hold_no_regions_of_the_section(tmp_path: Path, content: object, said: str) -> None:
    with pytest.raises(EfnstError, match=said):
        labels_of(tmp_path, content)


def test_regions_in_another_unit_are_told(tmp_path: Path) -> None:
    """Drawn around all spots in µm they hold four of nine in px; farther from the corner of the image none."""
    _, warnings = labels_of(tmp_path, [feature(polygon(square(0, 0, 16, 16)))])
    told = "; 100% of the spots would lie in them if they were in µm: draw them on the full-resolution image that"
    assert warnings == [f"5 of 9 spots lie in no region of the labels{told} Space Ranger was given."]
    assert labels_of(tmp_path, [TOP])[1] == ["6 of 9 spots lie in no region of the labels."]
    with pytest.raises(EfnstError, match="would lie in them if they were in µm\\): draw them"):
        labels_of(tmp_path, [feature(polygon(square(45, 45, 70, 70)))], PLACES + 100)


def test_no_file_of_regions(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match="found no file"):
        read_annotations(tmp_path / "absent.geojson")


def test_which_files_hold_regions() -> None:
    assert is_annotations(Path("a.GEOJSON")) and is_annotations(Path("a.json")) and not is_annotations(Path("a.csv"))
