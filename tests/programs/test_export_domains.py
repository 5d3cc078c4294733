"""export_domains.py: each export read back with the library or by the rules of the tool it is for."""

import csv
import json
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import shapely
from PIL import Image

import assign_domains
import export_domains
from efnst.domains.options import DomainOptions
from efnst.exports.options import ExportOptions
from efnst.palette import domain_colours

SAMPLE = "S1"


@pytest.fixture(scope="module")
def domains_file(
    section_file: Path, embedding_file: Path, space_ranger_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """S1.h5ad of the simulated section, with its picture and an image's records."""
    outdir = tmp_path_factory.mktemp("assigned")
    training = embedding_file.with_name("training.json")
    files = {"section": section_file, "embedding": embedding_file, "training": training}
    assign_domains.main(
        sample=SAMPLE, source=space_ranger_folder, outdir=outdir, options=DomainOptions(n_domains=4), **files
    )
    return outdir / f"{SAMPLE}.h5ad"


@pytest.fixture(scope="module")
def section(domains_file: Path) -> anndata.AnnData:
    return anndata.read_h5ad(domains_file)


@pytest.fixture(scope="module")
def exported(domains_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all exports of that section."""
    outdir = tmp_path_factory.mktemp("exported")
    export_domains.main(sample=SAMPLE, domains=domains_file, outdir=outdir, options=ExportOptions(exports="all"))
    return outdir


def features(path: Path) -> list[dict]:
    """The features of a GeoJSON file."""
    content = json.loads(path.read_text())
    assert content["type"] == "FeatureCollection"
    return content["features"]


def test_loupe_names_every_spot_and_lists_domains_in_order(exported: Path, section: anndata.AnnData) -> None:
    with (exported / "exports" / "loupe.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["Barcode", "EfNST", "diffused", "leiden"]
    assert [row[0] for row in rows[1:]] == section.obs_names.tolist()
    assert [row[1] for row in rows[1:]] == [f"Domain {name}" for name in section.obs["efnst"]]
    assert all(re.fullmatch(r"[ACGT]+-\d+", row[0]) for row in rows[1:])


def test_two_digits_of_domains_keep_their_order() -> None:
    from efnst.exports.tables import loupe_table

    numbers = pd.Categorical([str(n) for n in range(1, 13)])
    table = loupe_table(pd.DataFrame({key: numbers for key in ("efnst", "leiden", "diffused")}))
    assert table["EfNST"].tolist() == sorted(table["EfNST"]) == [f"Domain {n:02d}" for n in range(1, 13)]


def test_a_domain_has_one_name_in_loupe_in_all_columns_and_sections() -> None:
    """Of ten domains that sections share this one has four, and its baselines fewer."""
    from efnst.exports.tables import loupe_table

    obs = pd.DataFrame({"efnst": ["1", "9", "10"], "leiden": ["1", "2", "2"], "diffused": ["1", "1", "1"]}, list("abc"))
    assert loupe_table(obs).to_numpy().tolist() == [
        ["a", "Domain 01", "Domain 01", "Domain 01"],
        ["b", "Domain 09", "Domain 01", "Domain 02"],
        ["c", "Domain 10", "Domain 01", "Domain 02"],
    ]
    assert loupe_table(obs[:2], 10)["EfNST"].tolist() == ["Domain 01", "Domain 09"]


def test_loupe_s_names_have_the_digits_of_the_domains_asked_for(section: anndata.AnnData, tmp_path: Path) -> None:
    shared = section.copy()
    shared.uns["efnst"]["domains"]["n_domains_asked"] = 12
    shared.write_h5ad(tmp_path / "S1.h5ad")
    given = {"sample": SAMPLE, "domains": tmp_path / "S1.h5ad", "outdir": tmp_path}
    export_domains.main(**given, options=ExportOptions(exports="loupe"))
    assert set(pd.read_csv(tmp_path / "exports" / "loupe.csv")["EfNST"]) == {f"Domain 0{n}" for n in range(1, 5)}


@pytest.mark.parametrize(("image", "scale"), [("hires", 0.125), ("fullres", 1.0)])
def test_outlines_for_qupath(exported: Path, section: anndata.AnnData, image: str, scale: float) -> None:
    found = features(exported / "exports" / f"domains_{image}.geojson")
    domains = section.obs["efnst"]
    colours = domain_colours(len(domains.cat.categories))
    pitch = float(section.uns["section"]["pitch_px"]) * scale
    for feature, name, colour in zip(found, domains.cat.categories, colours, strict=True):
        properties = feature["properties"]
        assert properties["objectType"] == "annotation"
        assert properties["classification"]["name"] == f"Domain {name}"
        assert "#" + "".join(f"{part:02x}" for part in properties["classification"]["color"]) == colour
        assert -(2**24) <= properties["classification"]["colorRGB"] < 0  # as Java packs an opaque colour
        shape = shapely.from_geojson(json.dumps(feature["geometry"]))
        inside = (domains == name).to_numpy()
        assert shape.is_valid and not shape.is_empty
        assert shape.area == pytest.approx(inside.sum() * pitch**2 * np.sqrt(3) / 2, rel=0.05)
        xy = section.obsm["spatial"] * scale
        assert (shapely.contains_xy(shape, xy[:, 0], xy[:, 1]) == inside).all()
        assert properties["measurements"]["Spots"] == inside.sum()
        assert properties["measurements"]["Area µm^2"] == pytest.approx(inside.sum() * 1e4 * np.sqrt(3) / 2, rel=0.05)


def test_outlines_say_how_they_were_made(exported: Path) -> None:
    origin = json.loads((exported / "exports" / "domains_hires.geojson").read_text())["efnst"]
    assert (origin["sample"], origin["image_of_coordinates"]) == (SAMPLE, "hires")
    assert origin["parameters"]["n_domains"] == 4
    assert {row["role"] for row in origin["inputs"]} >= {"counts", "positions", "labels"}


def test_figures_are_small_and_their_text_is_text(exported: Path, domains_file: Path, tmp_path: Path) -> None:
    folder = exported / "figures"
    names = {f"{name}.{kind}" for name in ("domains", "comparison") for kind in ("png", "svg", "pdf")}
    assert {path.name for path in folder.iterdir()} == names
    assert max(path.stat().st_size for path in folder.iterdir()) < 3e6
    for name in ("domains", "comparison"):
        texts = [node.text for node in ElementTree.parse(folder / f"{name}.svg").iter() if node.tag.endswith("}text")]
        assert {SAMPLE, "1" if name == "domains" else "leiden"} <= set(texts)
        assert any("µm" in text or "mm" in text for text in texts)
        assert b"/FontFile2" in (folder / f"{name}.pdf").read_bytes()  # TrueType: text that programs can edit
        with Image.open(folder / f"{name}.png") as picture:
            pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
        for colour in domain_colours(4):
            channels = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
            assert (pixels == channels).all(1).sum() > 300
    again = export_figures(domains_file, tmp_path)
    assert all((again / name).read_bytes() == (folder / name).read_bytes() for name in names)


def export_figures(domains_file: Path, outdir: Path) -> Path:
    """The folder of the figures alone."""
    export_domains.main(sample=SAMPLE, domains=domains_file, outdir=outdir, options=ExportOptions(exports="figures"))
    assert [path.name for path in outdir.iterdir()] == ["figures"]
    return outdir / "figures"


def test_the_tissue_lies_under_the_outlines(section: anndata.AnnData) -> None:
    """The picture in the .h5ad is darker under the spots than at its corners."""
    stored = section.uns["spatial"][SAMPLE]
    for name, picture in stored["images"].items():
        grey = picture.mean(2)
        x, y = (section.obsm["spatial"] * stored["scalefactors"][f"tissue_{name}_scalef"]).astype(int).T
        assert grey[y, x].mean() < grey[[0, 0, -1, -1], [0, -1, 0, -1]].mean() - 20


def test_scanpy_squidpy_and_spatialdata_read_and_plot_all_of_it(exported: Path, section: anndata.AnnData) -> None:
    """In one test, since these libraries take long to import."""
    import matplotlib

    matplotlib.use("agg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import scanpy
        import spatialdata
        import spatialdata_plot  # noqa: F401 — adds `.pl`
        import squidpy
        from matplotlib import pyplot

        axes = scanpy.pl.spatial(section, color="efnst", show=False)
        shown = {"#" + "".join(f"{round(255 * part):02x}" for part in c[:3]) for c in face_colours(axes[0])}
        assert shown == set(domain_colours(4))
        assert len(axes[0].images) == 1
        squidpy.pl.spatial_scatter(section, color="efnst")
        axis = pyplot.gcf().axes[0]
        shown = {"#" + "".join(f"{round(255 * part):02x}" for part in c[:3]) for c in face_colours(axis)}
        assert shown == set(domain_colours(4)) and len(axis.images) == 1

        assert (exported / "exports" / f"{SAMPLE}.zarr" / "zarr.json").is_file()
        store = spatialdata.read_zarr(exported / "exports" / f"{SAMPLE}.zarr")
        spots, image = store.shapes[f"{SAMPLE}_spots"], store.images[f"{SAMPLE}_hires_image"]
        table = store.tables["table"]
        assert table.obs["efnst"].astype(str).tolist() == section.obs["efnst"].astype(str).tolist()
        assert (table.X != section.X).nnz == 0
        np.testing.assert_allclose(np.column_stack([spots.geometry.x, spots.geometry.y]), section.obsm["spatial"])
        assert 2 * spots["radius"].iloc[0] == pytest.approx(float(section.uns["section"]["spot_diameter_px"]))
        extent = spatialdata.get_extent(store.images[f"{SAMPLE}_hires_image"], coordinate_system=SAMPLE)
        width = float(section.uns["section"]["image"]["width"]) / float(section.uns["section"]["image"]["scale"])
        assert extent["x"] == pytest.approx((0, width), rel=1e-6)
        assert image.dtype == np.uint8 and image.shape[0] == 3
        joined = spatialdata.match_table_to_element(store, f"{SAMPLE}_spots", "table")
        assert joined.obs_names.tolist() == section.obs_names.tolist()
        plot = store.pl.render_images(f"{SAMPLE}_hires_image").pl.render_shapes(f"{SAMPLE}_spots", color="efnst")
        plot.pl.render_shapes(f"{SAMPLE}_domains", color="efnst", fill_alpha=0.5).pl.show(coordinate_systems=SAMPLE)
        pyplot.close("all")


def face_colours(axis: object) -> np.ndarray:
    """The colours of the spots on an axis of matplotlib, [n, 4]."""
    return np.concatenate([collection.get_facecolor() for collection in axis.collections])


def test_a_section_without_an_image(section_file: Path, embedding_file: Path, tmp_path: Path) -> None:
    section = anndata.read_h5ad(section_file)
    section.uns["section"]["image"] = {"source": "none", "file": "", "scale": 0.0, "width": 0, "height": 0}
    section.write_h5ad(tmp_path / "section.h5ad")
    training = embedding_file.with_name("training.json")
    files = {"section": tmp_path / "section.h5ad", "embedding": embedding_file, "training": training}
    assign_domains.main(sample=SAMPLE, source=tmp_path, outdir=tmp_path, options=DomainOptions(n_domains=3), **files)
    export_domains.main(sample=SAMPLE, domains=tmp_path / f"{SAMPLE}.h5ad", outdir=tmp_path)
    assert [path.name for path in (tmp_path / "exports").glob("*.geojson")] == ["domains_fullres.geojson"]
    assert (tmp_path / "figures" / "domains.svg").stat().st_size < 100_000  # no picture inside
    picture = anndata.read_h5ad(tmp_path / f"{SAMPLE}.h5ad").uns["spatial"][SAMPLE]["images"]["hires"]
    assert (picture == 255).all()


def test_positions_in_um_fit_no_image_and_say_so(domains_file: Path, tmp_path: Path) -> None:
    import spatialdata

    section = anndata.read_h5ad(domains_file)
    section.uns["section"] |= {"image": {"source": "none", "file": "", "scale": 0.0, "width": 0, "height": 0}}
    section.uns["section"]["in_um"] = True
    section.uns["spatial"][SAMPLE]["metadata"]["source"] = "none"
    section.write_h5ad(tmp_path / f"{SAMPLE}.h5ad")
    asked = ExportOptions(exports="geojson,spatialdata")
    export_domains.main(sample=SAMPLE, domains=tmp_path / f"{SAMPLE}.h5ad", outdir=tmp_path, options=asked)
    assert [path.name for path in (tmp_path / "exports").glob("*.geojson")] == ["domains_um.geojson"]
    origin = json.loads((tmp_path / "exports" / "domains_um.geojson").read_text())["efnst"]
    assert origin["unit_of_coordinates"] == "um" and "image_of_coordinates" not in origin
    assert spatialdata.read_zarr(tmp_path / "exports" / f"{SAMPLE}.zarr").coordinate_systems == [f"{SAMPLE}_um"]


def test_one_failure_keeps_the_other_exports(
    start: Callable[..., tuple[int, str]], domains_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "figures").write_text("a file where the folder should be")
    arguments = ["--sample", SAMPLE, "--domains", domains_file, "--outdir", tmp_path]
    status, _ = start(export_domains.main, *arguments, "--failure", tmp_path / "warning.json")
    assert status == 0
    record = json.loads((tmp_path / "warning.json").read_text())
    assert (record["sample"], record["step"]) == (SAMPLE, "export_domains")
    assert "these were not: figures, which ended by FileExistsError: " in record["reason"]
    assert "The results and the other exports are complete" in record["reason"]
    assert (tmp_path / "exports" / "loupe.csv").is_file() and (tmp_path / "exports" / "domains_hires.geojson").is_file()
    assert start(export_domains.main, *arguments)[0] == 2


def test_an_unknown_export_is_refused(
    start: Callable[..., tuple[int, str]], domains_file: Path, tmp_path: Path
) -> None:
    arguments = ["--sample", SAMPLE, "--domains", domains_file, "--outdir", tmp_path, "--exports", "loupe,shapefile"]
    status, messages = start(export_domains.main, *arguments)
    assert status == 2
    assert 'parameter --exports: found "loupe,shapefile", expected loupe, geojson, figures and spatialdata' in messages
    assert not list(tmp_path.iterdir())


def test_a_label_with_dollars_is_text_in_the_figures(section: anndata.AnnData, tmp_path: Path) -> None:
    from efnst.exports.figures import draw_figures
    from efnst.exports.tables import section_outlines

    labelled = section.copy()
    names = [r"$\frac{1}$", "a $x_1$ b", "\x1b[31mred"]
    labelled.obs["label"] = pd.Categorical([names[number % 3] for number in range(labelled.n_obs)])
    draw_figures(labelled, "$x^2$", section_outlines(labelled), tmp_path)
    text = (tmp_path / "comparison.svg").read_text()
    assert all(part in text for part in (r"$\frac{1}$", "a $x_1$ b", "\\x1b[31mred", "$x^2$")) and "\x1b" not in text


def test_a_label_that_no_font_draws_is_a_warning_of_the_section(
    start: Callable[..., tuple[int, str]],
    section: anndata.AnnData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
) -> None:
    from matplotlib.font_manager import fontManager

    usual = [entry for entry in fontManager.ttflist if entry.name.startswith("DejaVu")]
    monkeypatch.setattr(fontManager, "ttflist", usual)
    labelled = section.copy()
    labelled.obs["label"] = pd.Categorical([("大脑", "L1")[number % 2] for number in range(labelled.n_obs)])
    labelled.write_h5ad(tmp_path / "S1.h5ad")
    arguments = ["--sample", SAMPLE, "--domains", tmp_path / "S1.h5ad", "--outdir", tmp_path, "--exports", "figures"]
    assert start(export_domains.main, *arguments, "--failure", tmp_path / "warning.json")[0] == 0
    reason = json.loads((tmp_path / "warning.json").read_text())["reason"]
    assert "found none with 大脑: they are boxes in the PNG and PDF files" in reason
    assert "大脑" in (tmp_path / "figures" / "comparison.svg").read_text()
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]
