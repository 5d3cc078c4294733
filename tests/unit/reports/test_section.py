"""What the section report shows, worked out on small sections."""

import base64
import gzip
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import tifffile
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image
from tests.support.places import PROJECT

from efnst.errors import EfnstError
from efnst.image.picture import MAX_IMAGE_PX, image_path, plain, small_image
from efnst.palette import VALUE_COLOURS, domain_colour
from efnst.program.records import Records
from efnst.provenance.methods import citations, methods_text
from efnst.reports.maps import cell_outline, divisions, map_data, read_picture, section_view
from efnst.reports.section import (
    Tables,
    adjacency_table,
    domain_table,
    dot_plot,
    histograms,
    label_table,
    number_curves,
    report_context,
    score_table,
    stability_of,
    stain_table,
    training_curves,
)
from efnst.reports.summary import section_status, section_summary, section_warnings, thinned
from efnst.reports.thumbnail import THUMBNAIL_BYTES, save_thumbnail

TEMPLATES = PROJECT / "assets" / "section_report"
EVIL = "</script><script>alert(1)</script>&\"'"


def hexagonal(n_rows: int = 6, n_columns: int = 6) -> np.ndarray:
    """Positions on a hexagonal grid of pitch 1."""
    row, column = np.indices((n_rows, n_columns)).reshape(2, -1)
    return np.column_stack([column + 0.5 * (row % 2), row * np.sqrt(3) / 2])


@pytest.fixture
def data() -> anndata.AnnData:
    """36 spots in two halves, 5 genes, pitch 20 px, no image."""
    positions = 20 * hexagonal() + 40
    half = np.where(positions[:, 0] < 95, "1", "2")
    obs = pd.DataFrame(
        {
            "total_counts": np.arange(36) + 100,
            "n_genes_by_counts": np.arange(36) % 5,
            "pct_counts_mt": np.linspace(0, 5, 36),
            "label": pd.Categorical(np.where(half == "1", "tumour", None)),
            "efnst": pd.Categorical(half),
            "efnst_confidence": np.where(half == "1", 1.0, 0.5),
            "leiden": pd.Categorical(np.where(half == "1", "1", "3")),
            "diffused": pd.Categorical(half),
        },
        index=[f"BARCODE{number}-1" for number in range(36)],
    )
    counts = sp.csr_matrix(np.random.default_rng(0).poisson(2.0, (36, 5)).astype(np.float32))
    section = anndata.AnnData(counts, obs=obs, obsm={"spatial": positions})
    section.var_names = ["A", "B", "C", "D", EVIL]
    image = {"source": "none", "file": "", "scale": 1.0, "width": 0, "height": 0}
    section.uns["section"] = {"sample": "s1", "pitch_px": 20.0, "um_per_px": 5.0, "spot_diameter_px": 11.0}
    section.uns["section"] |= {"grid": "hexagonal", "space_ranger": "1.x", "image": image}
    section.uns["efnst"] = {"parameters": {"n_genes": np.int64(3000)}, "versions": {"efnst": "0.1.0"}}
    return section


@pytest.fixture
def records() -> Records:
    methods = {
        "efnst": {"n_domains": 2, "how": "mixture", "chaos": 0.1, "pas": 0.2, "silhouette": 0.3, "ari": 0.5},
        "diffused": {"n_domains": 2, "how": "mixture", "chaos": 0.2, "pas": 0.1, "silhouette": 0.2, "ari": 0.4},
        "leiden": {"n_domains": 2, "how": "leiden", "chaos": 0.3, "pas": 0.3, "silhouette": 0.1, "ari": 0.3},
    }
    quantiles = {"total_counts": [1.0, 2, 3, 4, 5], "n_genes_by_counts": [1.0, 2, 3, 4, 5]}
    return Records(
        qc={"sample": "s1", "n_spots_in_matrix": 40, "n_spots_in_tissue": 38, "n_spots_kept": 36, "lost": {"x": 2}}
        | {"median_counts": 100.0, "median_genes": 5.0, "median_pct_mt": 2.5, "quantiles": quantiles, "warnings": []},
        domains={"sample": "s1", "n_domains_asked": 2, "n_domains_found": 2, "clustering": "mixture"}
        | {"refinement_rounds": 2, "sizes": {}, "methods": methods, "n_labelled": 18, "refined": True},
        training={"epochs": 3, "loss": {"total": [3.0, 2.0, 1.0]}, "seed": 7, "device": "cpu", "seconds": 1.5}
        | {"n_genes_used": 5, "parameters": {"epochs": 3}, "runs": [{"seed": 7, "epochs": 3}]},
        description={"sample": "s1", "n_genes_tested": 5, "top_markers": {"1": ["A", "B"], "2": []}}
        | {"top_spatial_genes": ["C", EVIL], "notes": []}
        | {"dot_plot": {"genes": ["A", EVIL], "mean": [[2.0, 0.0], [1.0, 0.0]], "fraction": [[1.0, 0.0], [0.25, 0.0]]}}
        | {
            "adjacency": {"domains": ["1", "2"], "pairs": [[30, 6], [6, 30]], "enrichment": [[2.0, 0.25], [0.25, None]]}
            | {"z_score": [[30.0, -5.0], [-5.0, None]], "n_permutations": 1000}
        },
    )


def unpacked(packed: dict) -> list:
    """What `packed` holds, as the page reads it."""
    content = gzip.decompress(base64.b64decode(packed["data"]))
    if packed["kind"] == "text":
        return content.decode().split("\n")
    return np.frombuffer(content, "<" + packed["kind"]).tolist()


def numbers(packed: dict) -> np.ndarray:
    """The numbers that levels stand for."""
    return packed["least"] + np.array(unpacked(packed)) * packed["step"]


def with_image(data: anndata.AnnData, **facts: object) -> anndata.AnnData:
    """`data` with other facts about its image."""
    data.uns["section"]["image"] = data.uns["section"]["image"] | facts
    return data


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


def test_clustering_without_probabilities_has_no_confidence_map(data: anndata.AnnData, records: Records) -> None:
    data.obs["efnst_confidence"] = np.nan
    maps = map_data(data, section_view(data, None), records.description)
    assert [layer["key"] for layer in maps["values"]] == ["total_counts", "n_genes_by_counts", "pct_counts_mt"]
    assert [row["confidence"] for row in domain_table(data.obs, records.description)] == [None, None]


def test_best_scores_are_marked(records: Records) -> None:
    table = score_table(records.domains)
    names = [column["name"] for column in table["columns"]]
    assert names == ["CHAOS", "PAS", "silhouette", "ARI"]
    best = {row["name"]: [score["best"] for score in row["scores"]] for row in table["rows"]}
    assert best["EfNST"] == [True, False, True, True]
    assert best["diffused"] == [False, True, False, False]


def test_scores_without_labels_have_no_ari(records: Records) -> None:
    for method in records.domains["methods"].values():
        del method["ari"]
    assert [column["name"] for column in score_table(records.domains)["columns"]] == ["CHAOS", "PAS", "silhouette"]


def test_adjacency_is_shaded_by_z_score(records: Records) -> None:
    shades = [[cell["shade"] for cell in row["cells"]] for row in adjacency_table(records.description)]
    part = np.log(5) / np.log(30)
    np.testing.assert_allclose(shades, [[1, -part], [-part, 0]])


def test_dots_are_scaled_to_the_largest_of_a_gene(records: Records) -> None:
    plot = dot_plot(records.description)
    first, second = (row["dots"] for row in plot["rows"])
    assert (first[0]["colour"], second[0]["colour"]) == (VALUE_COLOURS[-1], VALUE_COLOURS[4])
    assert first[1]["colour"] == second[1]["colour"] == VALUE_COLOURS[0]  # a gene that is nowhere
    none = {"dot_plot": {"genes": [], "mean": [[], []], "fraction": [[], []]}}
    assert dot_plot(records.description | none)["rows"] == []


def test_histogram_by_hand() -> None:
    """0 to 39 once each, and 1000: the axis ends at the 99.5th percentile, and the limit of 8 lies on it."""
    obs = pd.DataFrame({"total_counts": [*range(40), 1000], "pct_counts_mt": 1.0})
    (drawn,) = histograms(obs, {"min_counts_per_spot": 8})
    high = np.quantile(obs["total_counts"], 0.995)
    assert (drawn["low"], drawn["high"], drawn["median"]) == (0, pytest.approx(high), 20)
    assert drawn["limit_at"] == pytest.approx(8 / high)
    assert drawn["bars"][-1] == pytest.approx(1 / drawn["most"], abs=1e-3) and max(drawn["bars"]) == 1
    assert histograms(obs, {})[0]["limit_at"] is None


def test_stains_have_the_colour_of_their_density() -> None:
    """Density 1 in red alone takes nine tenths of the red away."""
    macenko = {"stains": [[1.0, 0, 0], [0, 0.5, 0.5]], "concentrations": [1.0, 2.0]}
    first, second = stain_table({"stain": {"macenko": macenko}})
    assert (first["name"], first["colour"], second["colour"]) == (
        "haematoxylin",
        "rgb(26, 255, 255)",
        "rgb(255, 26, 26)",
    )
    assert stain_table(None) == stain_table({"stain": None}) == stain_table({"stain": {"macenko": None}}) == []


def test_a_section_that_breaks_a_rule_fails(records: Records) -> None:
    """Not like one that only has warnings, and whether the rule is of the section or of its image."""
    assert section_status(records, []) == "pass"
    assert section_status(records, ["weak"]) == "warn"
    assert section_status(replace(records, qc=records.qc | {"qc_status": "fail"}), ["weak"]) == "fail"
    assert section_status(replace(records, image_qc={"qc_status": "fail"}), []) == "fail"


def test_citations_are_of_what_was_done(records: Records) -> None:
    assert {"EfNST", "Leiden"} <= set(citations(records, False))
    assert not {"UMAP", "Macenko", "Reinhard", "EfficientNet"} & set(citations(records, False))
    ran = replace(records, features={"stain_normalisation": "macenko"}, encoder={"encoder": "efficientnet-b0"})
    assert {"UMAP", "Macenko", "EfficientNet"} <= set(citations(ran, True))
    how = records.domains["methods"] | {"efnst": {"how": "Gaussian mixture, spatial prior 0.3"}}
    assert "Spatial prior" not in citations(ran, True)
    assert "Spatial prior" in citations(replace(ran, domains=records.domains | {"methods": how}), True)


def test_training_curve_runs_from_corner_to_corner() -> None:
    (curve,) = training_curves({"loss": {"total": [3.0, 2.0, 1.0]}}, 100, 10)
    assert curve["points"] == "0.0,0.0 50.0,5.0 100.0,10.0"
    assert training_curves({"loss": {"total": [3.0]}})[0]["points"] == "130.0,110.0"


def test_thinned_keeps_the_ends() -> None:
    points = thinned(list(range(1000)))
    assert len(points) == 100
    assert points[0] == [1, 0.0]
    assert points[-1] == [1000, 999.0]
    assert thinned([5.0]) == [[1, 5.0]]


def test_warnings_join_all_steps_once(records: Records) -> None:
    records.qc["warnings"] = ["lowres"]
    records.domains["n_domains_found"] = 1
    found = section_warnings(replace(records, image_qc={"warnings": ["border", "lowres"]}))
    assert found[:2] == ["lowres", "border"]
    assert len(found) == 3
    assert "1 domains were found where 2 were asked" in found[2]


def test_a_number_that_was_chosen_is_drawn_and_doubted_where_flat(records: Records) -> None:
    """Of 2, 3 and 4 domains, 3 was chosen: in the middle of a chart 260 wide, at its top in stability."""
    curve = {"n_domains": [2, 3, 4], "stability": [0.5, 0.9, 0.7], "gain": [1.0, 2.0, 2.5]}
    choice = {"n_domains": 3, "runner_up": 4, "flat": False, "curve": curve}
    domains = records.domains | {"n_domains_asked": 3, "n_domains_found": 3, "choice": choice}
    stability, gain = number_curves(domains)
    assert (stability["points"], stability["mark"]) == ("0.0,110.0 130.0,0.0 260.0,55.0", ["130.0", "0.0"])
    assert (gain["chosen"], gain["low"], gain["high"], gain["tried"]) == (2.0, 1.0, 2.5, [2, 3, 4])
    assert number_curves(records.domains) == []

    assert section_warnings(replace(records, domains=domains)) == []
    assert "of 2 to 4" in methods_text(replace(records, domains=domains), {}, "hires")["number"]
    assert "number" not in methods_text(records, {}, "hires")
    domains["choice"] = choice | {"flat": True}
    (found,) = section_warnings(replace(records, domains=domains))
    assert found.startswith("No number of domains stands out. 3 was chosen; 4 would do as well; give n_domains")


def test_summary_row(data: anndata.AnnData, records: Records) -> None:
    summary = section_summary(data, replace(records, features={"spots_per_second": 99.0}), {})
    assert summary["status"] == "pass"
    assert summary["composition"] == {"1": 0.5, "2": 0.5}
    assert (summary["efnst_chaos"], summary["diffused_pas"], summary["ari_leiden"]) == (0.1, 0.1, 0.3)
    assert summary["spots_per_second"] == 99.0
    assert summary["loss"] == {"total": [[1, 3.0], [2, 2.0], [3, 1.0]]}
    records.qc["warnings"] = ["weak"]
    assert section_summary(data, records, {})["status"] == "warn"


def test_methods_text_holds_what_ran_and_nothing_unknown(records: Records) -> None:
    parameters = {"image_pcs": 50, "n_seeds": 4}
    imaged = {"image_qc": {"patches": [{"patch_um": 100.0}, {"patch_um": 190.0}], "warnings": []}}
    encoder = {"encoder": "efficientnet-lite0", "output": "pooled", "weights": {"file": "a"}}
    ran = {"device": "openvino", "provider": "OpenVINO", "precision": "fp32", "operators_on_cpu": {"ReduceSum": 2}}
    text = methods_text(replace(records, **imaged, encoder=encoder, features=ran), parameters, "hires")
    assert "patches of 100, 190 µm" in text["image"]
    assert "hires image and encoded by efficientnet-lite0 with ImageNet weights," in text["image"]
    assert "run in fp32 on openvino (OpenVINO; left to the CPU: 2 ReduceSum)" in text["image"]
    own = {"encoder": "mine", "weights": {"file": "own.onnx"}}
    ran |= {"device": "cpu", "provider": "CPU", "operators_on_cpu": {}}
    text = methods_text(replace(records, **imaged, encoder=own, features=ran), parameters, "hires")
    assert "encoded by mine with the weights of own.onnx, run in fp32 on cpu (CPU);" in text["image"]
    assert "4 times for up to 3 epochs" in text["network"]
    assert "seed 7" in text["network"]
    assert "quality" not in text
    assert "image" not in methods_text(records, parameters, "hires")
    assert methods_text(records, parameters, "none")["image"] == "No image was used."


def test_stability_and_labels_by_hand() -> None:
    method = {"n_runs": 3, "stability": 0.8, "ari_of_runs": [0.4, 0.6], "n_domains": 2}
    method["best_matches"] = [{"label": "a", "domain": 2, "jaccard": 0.75, "n_spots": 4}]
    method["confusion"] = {"index": [1, 2], "columns": ["a"], "data": [[1], [3]]}
    domains = {"methods": {"efnst": method}}
    expected = {"n_runs": 3, "stability": 0.8, "alone": pytest.approx(0.5), "spread": pytest.approx(0.1)}
    expected["runs"] = [0.4, 0.6]
    assert stability_of(domains) == expected
    assert stability_of({"methods": {"efnst": {"n_domains": 2}}}) is None
    (row,) = label_table(domains)
    assert row["label"] == "a" and row["domain"] == 2
    assert row["cells"] == [{"spots": 1, "share": 0.25}, {"spots": 3, "share": 0.75}]
    assert label_table({"methods": {"efnst": {}}}) == []


def test_plain_turns_numpy_into_python() -> None:
    assert plain({"a": np.float32(0.5), "b": {"c": np.array([1, 2])}, "d": "x"}) == {
        "a": 0.5,
        "b": {"c": [1, 2]},
        "d": "x",
    }


def test_image_is_shrunk_and_made_rgb(tmp_path: Path) -> None:
    """16-bit grey, 3000 x 1500, wide gradient: becomes 8-bit RGB of 1200 x 600, dark on the left."""
    values = np.tile(np.linspace(0, 65535, 3000).astype(np.uint16), (1500, 1))
    Image.fromarray(values).save(tmp_path / "grey.png")
    small = small_image(tmp_path / "grey.png", {"image": {"width": 3000, "height": 1500}})
    assert small.size == (1200, 600)
    assert small.mode == "RGB"
    assert small.getpixel((5, 300))[0] < 20 < 235 < small.getpixel((1195, 300))[0]


def test_an_image_with_a_page_for_each_colour_is_shown_in_colour(tmp_path: Path) -> None:
    """12-bit data on three pages, as scanners with three cameras write them."""
    pages = np.repeat([4095, 2048, 16], 30 * 60).reshape(3, 30, 60).astype(np.uint16)
    tifffile.imwrite(tmp_path / "he.ome.tif", pages, photometric="minisblack", metadata={"axes": "CYX"})
    small = small_image(tmp_path / "he.ome.tif", {"image": {"width": 60, "height": 30}})
    assert small.size == (60, 30) and small.getpixel((7, 9)) == (255, 128, 1)


def test_rotation_in_the_exif_is_left_alone(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 30), "white")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert small_image(tmp_path / "turned.jpg", {"image": {"width": 60, "height": 30}}).size == (60, 30)


def test_another_image_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (60, 30)).save(tmp_path / "other.png")
    with pytest.raises(EfnstError, match=r"Expected `other.png` to have 61 x 30 px.*found 60 x 30"):
        small_image(tmp_path / "other.png", {"image": {"width": 61, "height": 30}})


def test_image_paths(tmp_path: Path) -> None:
    given = Path("slide.tif")
    assert image_path({"image": {"source": "none", "file": ""}}, tmp_path, None) is None
    assert image_path({"image": {"source": "fullres", "file": ""}}, tmp_path, given) == given
    with pytest.raises(EfnstError, match="give it with --image"):
        image_path({"image": {"source": "fullres", "file": ""}}, tmp_path, None)
    with pytest.raises(EfnstError, match=r"spatial/hires\.png"):
        image_path({"image": {"source": "hires", "file": "spatial/hires.png"}}, tmp_path, None)


def test_thumbnail_is_small_and_shows_both_halves(data: anndata.AnnData, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    with_image(data, source="hires", file="noise.png", scale=1.0, width=300, height=300)
    picture = read_picture(data, tmp_path, None)
    view = section_view(data, picture)
    codes, colours = data.obs["efnst"].cat.codes.to_numpy(), [domain_colour(1), domain_colour(2)]
    save_thumbnail(view, codes, colours, picture, tmp_path / "t.webp")
    assert (tmp_path / "t.webp").stat().st_size < 2 * THUMBNAIL_BYTES  # noise is the worst case
    with Image.open(tmp_path / "t.webp") as both:
        width = both.width
    save_thumbnail(section_view(data, None), codes, colours, None, tmp_path / "t.webp")
    assert (tmp_path / "t.webp").stat().st_size < THUMBNAIL_BYTES
    with Image.open(tmp_path / "t.webp") as one:
        assert one.width < 0.6 * width
        blue, orange = (
            one.getpixel((one.width // 4, one.height // 2)),
            one.getpixel((3 * one.width // 4, one.height // 2)),
        )
    assert blue[2] > blue[0] + 50
    assert orange[0] > orange[2] + 50


def rendered(context: dict) -> str:
    """The report as HTML."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("report.html").render(context)


def test_names_from_data_are_escaped(data: anndata.AnnData, records: Records) -> None:
    """A sample, barcode, label, gene, warning and parameter that try to leave their place stay text."""
    records.qc["sample"] = EVIL
    records.qc["warnings"] = [EVIL]
    records.description["top_markers"]["1"] = [EVIL]
    records.training["parameters"][EVIL] = EVIL
    data.obs_names = [EVIL + str(number) for number in range(36)]
    data.obs["label"] = pd.Categorical([EVIL] * 36)
    markers = pd.DataFrame({"domain": ["1"], "gene": [EVIL], "score": [1.0]})
    spatial = pd.DataFrame({"gene": [EVIL], "morans_i": [1.0]})
    html = rendered(report_context(data, records, section_view(data, None), None, Tables(markers, spatial)))
    assert "<script>alert" not in html
    assert (html.count("<script>"), html.count("<script type"), html.count("</script>")) == (1, 1, 2)
    body = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in body


def test_a_broken_rule_stands_above_all(data: anndata.AnnData, records: Records) -> None:
    records.qc["qc_status"], records.qc["warnings"] = "fail", ["Quality control (fail): few counts."]
    tables = pd.DataFrame({"domain": ["1"], "gene": ["A"]}), pd.DataFrame({"gene": ["A"], "morans_i": [1.0]})
    html = rendered(report_context(data, records, section_view(data, None), None, Tables(*tables)))
    assert '<span class="badge fail">fail</span>' in html
    assert html.index("This section fails quality control") < html.index("few counts") < html.index('id="tissue"')


def test_report_loads_nothing_from_elsewhere(data: anndata.AnnData, records: Records) -> None:
    tables = pd.DataFrame({"domain": ["1"], "gene": ["A"]}), pd.DataFrame({"gene": ["A"], "morans_i": [1.0]})
    html = rendered(report_context(data, records, section_view(data, None), None, Tables(*tables)))
    assert not re.search(r"https?://|<link|<script src|@import|url\(", html)
    drawn = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)]
    assert {svg[0].tag for svg in drawn} == {"polyline", "rect", "text"}
    assert all(svg.attrib["aria-label"] for svg in drawn)
    assert "seed 7" in html
    assert "18 labelled spots; 18 unlabelled spots are left out" in " ".join(html.split())
