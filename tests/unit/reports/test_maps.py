"""The maps of the section report."""

import base64
import gzip

import anndata
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.support.described import with_image
from tests.support.grids import hexagonal
from tests.support.hostile import EVIL

from efnst.errors import EfnstError
from efnst.image.picture import MAX_IMAGE_PX
from efnst.palette import domain_colour
from efnst.records.section import Records
from efnst.reports.maps import cell_outline, divisions, map_data, section_view
from efnst.reports.section import domain_table


def unpacked(packed: dict) -> list:
    """What `packed` holds, as the page reads it."""
    content = gzip.decompress(base64.b64decode(packed["data"]))
    if packed["kind"] == "text":
        return content.decode().split("\n")
    return np.frombuffer(content, "<" + packed["kind"]).tolist()


def numbers(packed: dict) -> np.ndarray:
    """The numbers that levels stand for."""
    return packed["least"] + np.array(unpacked(packed)) * packed["step"]


def test_view_scales_spots_from_full_resolution_to_the_small_image(data: anndata.AnnData) -> None:
    """hires at 0.5 px per full-resolution px, shrunk 4 times more: a spot at (40, 40) lies at (5, 5)."""
    with_image(data, source="hires", scale=0.5, width=400, height=200)
    view = section_view(data, Image.new("RGB", (100, 50)))
    np.testing.assert_allclose(view.xy[0], [5, 5])
    assert view.pitch == pytest.approx(2.5)
    assert view.spot_diameter == pytest.approx(11 / 8)
    assert view.um_per_px == pytest.approx(40)
    assert (view.width, view.height) == (100, 50)


def test_view_without_image_holds_all_spots(data: anndata.AnnData) -> None:
    view = section_view(data, None)
    assert max(view.width, view.height) == pytest.approx(MAX_IMAGE_PX)
    assert (view.xy > 0).all()
    assert (view.xy < [view.width, view.height]).all()
    assert view.um_per_px * view.pitch == pytest.approx(5 * 20)


@pytest.mark.parametrize(("grid", "n_corners", "area"), [("hexagonal", 6, np.sqrt(3) / 2), ("square", 4, 1.0)])
@pytest.mark.parametrize("turned", [0, 10, 25])
def test_cells_tile_the_plane(grid: str, n_corners: int, area: float, turned: float) -> None:
    """However the array lies, a cell has the area of one spot, and its corners are shared with its neighbours."""
    angle = np.deg2rad(turned)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    upright = hexagonal(9, 9) if grid == "hexagonal" else np.indices((9, 9)).reshape(2, -1).T
    positions = upright @ turn.T
    corners = cell_outline(positions, 1.0, grid)
    assert len(corners) == n_corners
    x, y = corners.T
    assert abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2 == pytest.approx(area)
    middle = positions[40]
    for corner in corners:
        distance = np.sort(np.hypot(*(positions - middle - corner).T))
        np.testing.assert_allclose(distance[: 3 if grid == "hexagonal" else 4], np.hypot(*corner))


def test_divisions_share_colours(data: anndata.AnnData) -> None:
    layers = {layer["key"]: layer for layer in divisions(data.obs)}
    assert list(layers) == ["efnst", "diffused", "leiden", "label"]
    assert layers["efnst"]["colours"] == [domain_colour(1), domain_colour(2)]
    assert layers["leiden"]["colours"] == [domain_colour(1), domain_colour(3)]
    assert layers["label"]["colours"] == [domain_colour(1)]
    assert set(unpacked(layers["label"]["codes"])) == {0, 65_535}


def test_divisions_without_labels(data: anndata.AnnData) -> None:
    data.obs["label"] = pd.Categorical([None] * 36)
    assert "label" not in [layer["key"] for layer in divisions(data.obs)]


def test_maps_name_every_spot_and_gene(data: anndata.AnnData, records: Records) -> None:
    view = section_view(data, None)
    maps = map_data(data, view, records.description)
    assert unpacked(maps["barcodes"]) == data.obs_names.tolist()
    np.testing.assert_allclose(numbers(maps["x"]), view.xy[:, 0], atol=0.02)
    np.testing.assert_allclose(numbers(maps["y"]), view.xy[:, 1], atol=0.02)
    np.testing.assert_array_equal(numbers(maps["values"][0]), data.obs["total_counts"])
    assert [gene["title"] for gene in maps["genes"]] == ["C", EVIL, "A"]
    assert {layer["key"] for layer in maps["values"]} >= {"total_counts", "pct_counts_mt", "efnst_confidence"}


def test_many_spots_and_cells_that_lie_anyhow_become_a_raster(
    data: anndata.AnnData, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each spot is at the pixel of its middle, and the pixels of all spots are as many as their hexagons cover."""
    for change in ("many", "irregular"):
        with monkeypatch.context() as patch:
            if change == "many":
                patch.setattr("efnst.reports.maps.DRAWN_SPOTS", 35)
            else:
                data.uns["section"]["grid"] = "irregular"
            view = section_view(data, None)
            maps = map_data(data, view, records.description)
        assert "x" not in maps
        raster = maps["raster"]
        spots = np.cumsum(unpacked(raster["spot"])).reshape(raster["height"], raster["width"])
        column, row = ((view.xy - [raster["x0"], raster["y0"]]) * raster["scale"]).astype(int).T
        assert spots[row, column].tolist() == list(range(36))
        covered = (spots >= 0).sum() / (36 * np.sqrt(3) / 2 * (view.pitch * raster["scale"]) ** 2)
        assert 0.95 < covered < (1.1 if change == "many" else 1.7)


def test_layout_is_of_these_spots(data: anndata.AnnData, records: Records) -> None:
    layout = pd.DataFrame({"barcode": data.obs_names[[3, 30]], "umap_1": [0.5, -2.0], "umap_2": [1.0, 4.0]})
    maps = map_data(data, section_view(data, None), records.description, layout)
    assert np.cumsum(unpacked(maps["umap"]["spots"])).tolist() == [3, 30]
    np.testing.assert_allclose(numbers(maps["umap"]["x"]), [0.5, -2.0], atol=1e-4)
    with pytest.raises(EfnstError, match="run describe_domains again"):
        map_data(data, section_view(data, None), records.description, layout.replace("BARCODE3-1", "other"))


def test_a_map_whose_percentiles_are_one_runs_over_all_values(data: anndata.AnnData, records: Records) -> None:
    """They would be 0 … 0 of what one spot of 360 has, and alike to four digits."""
    many = anndata.concat([data] * 10, index_unique="-")
    many.uns = data.uns
    many.obs["pct_counts_hb"] = np.where(np.arange(360) == 7, 2.5, 0.0)
    many.obs["n_genes_by_counts"] = 10_001 + np.arange(360) % 2
    layers = map_data(many, section_view(many, None), records.description)["values"]
    ends = {layer["key"]: (layer["low"], layer["high"]) for layer in layers}
    assert ends["pct_counts_hb"] == (0, 2.5) and ends["n_genes_by_counts"] == (10_001, 10_002)


def test_clustering_without_probabilities_has_no_confidence_map(data: anndata.AnnData, records: Records) -> None:
    data.obs["efnst_confidence"] = np.nan
    maps = map_data(data, section_view(data, None), records.description)
    assert [layer["key"] for layer in maps["values"]] == ["total_counts", "n_genes_by_counts", "pct_counts_mt"]
    assert [row["confidence"] for row in domain_table(data.obs, records.description)] == [None, None]
