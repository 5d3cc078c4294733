"""The section's report as a person uses it: slider, legend, keyboard, search, download, and nothing from a network."""

import base64
import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image
from playwright.sync_api import Page, expect
from tests.browser.conftest import address, small_section
from tests.support.places import PROJECT

from efnst.program.spreadsheets import harmless_table, read_table

pytestmark = pytest.mark.slow


def opened(page: Page, path: Path) -> Page:
    """The report, drawn."""
    page.goto(address(path))
    page.wait_for_selector("body[data-ready=yes]")
    return page


def written(context: dict, folder: Path) -> Path:
    """The report that the template makes of `context`."""
    environment = Environment(
        loader=FileSystemLoader(PROJECT / "assets" / "section_report"), autoescape=True, undefined=StrictUndefined
    )
    (folder / "report.html").write_text(environment.get_template("report.html").render(context))
    return folder / "report.html"


def pixels(page: Page, canvas: str = "big") -> np.ndarray:
    """What a canvas shows: uint8 [n, 4]."""
    png = page.evaluate("id => document.getElementById(id).toDataURL('image/png')", canvas)
    shown = Image.open(io.BytesIO(base64.b64decode(png.partition(",")[2]))).convert("RGBA")
    return np.asarray(shown).reshape(-1, 4)


def test_slider_and_legend_change_the_map(page: Page, report: Path) -> None:
    opened(page, report)
    before = pixels(page)
    slider = page.get_by_label("Opacity of the colours")
    slider.fill("0")
    tissue = pixels(page)
    assert (before != tissue).any(axis=1).mean() > 0.1
    slider.fill("100")
    full = pixels(page)
    blue = (full[:, :3] == [0, 114, 178]).all(axis=1)
    assert blue.mean() > 0.02
    first = page.locator("#biglegend button").first
    expect(first).to_have_attribute("aria-pressed", "true")
    first.click()
    expect(first).to_have_attribute("aria-pressed", "false")
    hidden = pixels(page)
    assert (hidden[blue] == tissue[blue]).mean() > 0.95  # but for pixels that a neighbouring cell touches
    assert (hidden[~blue] == full[~blue]).mean() > 0.98
    first.dblclick()
    assert page.locator('#biglegend [aria-pressed="true"]').count() == 1


def test_keyboard_moves_zooms_and_returns(page: Page, report: Path) -> None:
    opened(page, report)
    whole = pixels(page)
    page.locator("#big").focus()
    for key in ("+", "ArrowLeft"):
        before = pixels(page)
        page.keyboard.press(key)
        assert (pixels(page) != before).any()
    page.keyboard.press("0")
    np.testing.assert_array_equal(pixels(page), whole)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "layer"


def test_the_mouse_moves_and_zooms(page: Page, report: Path) -> None:
    opened(page, report)
    whole = pixels(page)
    box = page.locator("#big").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 50, y + 20)
    page.mouse.up()
    moved = pixels(page)
    assert (moved != whole).any()
    page.mouse.move(x, y)
    np.testing.assert_array_equal(pixels(page), moved)  # the button is up
    page.mouse.wheel(0, -200)
    page.wait_for_timeout(200)
    assert (pixels(page) != moved).any()
    page.get_by_role("button", name="Whole section").click()
    np.testing.assert_array_equal(pixels(page), whole)


def test_pointing_at_a_spot_and_finding_one_tell_of_it(page: Page, report: Path) -> None:
    opened(page, report)
    box = page.locator("#big").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    lines = page.locator("#tip").inner_text().splitlines()
    assert re.fullmatch(r"[ACGT]{16}-1", lines[0]) and re.fullmatch(r"EfNST: \d", lines[1])
    assert any(line.startswith("Counts (UMIs): ") for line in lines) and any("Confidence" in line for line in lines)
    page.get_by_label("Find a spot").fill(lines[0])
    page.keyboard.press("Enter")
    expect(page.locator("#spotinfo")).to_contain_text(lines[1])
    page.get_by_label("Find a spot").fill("NOWHERE")
    page.keyboard.press("Enter")
    expect(page.locator("#spotinfo")).to_have_text("No spot NOWHERE is in this section.")


def by_number(name: str) -> list:
    """RPL4 comes before RPL12."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def test_markers_are_searched_sorted_and_downloaded(
    page: Page, report: Path, described_section: Path, tmp_path: Path
) -> None:
    opened(page, report)
    with (described_section / "markers.csv").open(newline="") as file:
        markers = list(csv.DictReader(file))
    gene = markers[5]["gene"]
    wanted = [row for row in markers if gene.lower() in row["gene"].lower()]
    page.get_by_label("Search a marker gene").fill(gene.lower())
    expect(page.locator("#markers tbody tr")).to_have_count(len(wanted))
    with page.expect_download() as started:
        page.locator("#markercsv").click()
    assert started.value.suggested_filename == "sim_layers_markers.csv"
    started.value.save_as(tmp_path / "found.csv")
    with (tmp_path / "found.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["domain"], row["gene"]) for row in found] == [(row["domain"], row["gene"]) for row in wanted]
    assert float(found[0]["score"]) == pytest.approx(float(wanted[0]["score"]))
    page.get_by_label("Search a marker gene").fill("")
    page.locator("#markers th button", has_text="gene").click()
    expect(page.locator("#markers th", has_text="gene").first).to_have_attribute("aria-sort", "ascending")
    shown = page.locator("#markers tbody tr td:nth-child(2)").all_inner_texts()
    assert len(shown) > 100 and shown == sorted(shown, key=by_number)


def test_a_download_has_no_formulas(page: Page, tmp_path: Path) -> None:
    """What section_report.py takes off when it reads markers.csv is put on again; numbers stay numbers."""
    genes = ["=HYPERLINK(1)", "'=A1", "@x", "-1", "\t+2", 'a,"b"', "Sox2"]
    context = small_section("square", 8)
    table = pd.DataFrame({"gene": genes, "morans_i": -0.5})
    context["page"]["spatialGenes"] = {"columns": list(table), "rows": table.to_numpy().tolist()}
    opened(page, written(context, tmp_path))
    with page.expect_download() as started:
        page.locator("#spatialcsv").click()
    started.value.save_as(tmp_path / "found.csv")
    harmless_table(table).to_csv(tmp_path / "expected.csv", index=False)
    assert (tmp_path / "found.csv").read_bytes() == (tmp_path / "expected.csv").read_bytes()
    assert read_table(tmp_path / "found.csv")["gene"].tolist() == genes


def test_a_gene_is_shown_over_the_tissue_and_the_layout_follows_its_choice(page: Page, report: Path) -> None:
    opened(page, report)
    domains, layout = pixels(page), pixels(page, "umap")
    button = page.locator("#spatial .gene").first
    name = button.inner_text()
    button.click()
    assert page.locator("#layer").evaluate("select => select.selectedOptions[0].textContent").startswith(name)
    assert (pixels(page) != domains).any()
    assert page.locator("#big").get_attribute("aria-label").startswith(f"Map of the section, coloured by {name}")
    page.locator("#umaplayer").select_option("total_counts")
    assert (pixels(page, "umap") != layout).any()


def test_everything_has_a_name_for_those_who_do_not_see_it(page: Page, report: Path) -> None:
    opened(page, report)
    nameless = page.evaluate("""() => [...document.querySelectorAll('canvas, svg, input, select, button')].filter(
        e => !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim())).map(e => e.outerHTML)""")
    assert nameless == []
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("#divisions canvas").count() == 4


def test_a_report_can_be_read_with_short_numbers() -> None:
    """Three digits, and never in powers of ten what has four."""
    charts = Environment(loader=FileSystemLoader(PROJECT / "assets" / "section_report")).get_template("charts.html")
    texts = [charts.module.short(value) for value in (None, 0.12345, 999.4, 999.6, 12345.6)]
    assert texts == ["–", "0.123", "999", "1,000", "12,346"]


@pytest.mark.parametrize("grid", ["square", "irregular"])
def test_many_bins_and_cells_are_drawn_as_a_raster(
    page: Page, tmp_path: Path, grid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A section in quarters: each quarter has its colour up to its edges, and pointing tells which spot it is."""
    monkeypatch.setattr("efnst.reports.maps.DRAWN_SPOTS", 1000)
    opened(page, written(small_section(grid, side=40), tmp_path))
    shown = pixels(page)
    for colour in ([0, 114, 178], [230, 159, 0], [0, 158, 115], [204, 121, 167]):
        share = (shown[:, :3] == colour).all(axis=1).sum() / (shown[:, :3] != 255).any(axis=1).sum()
        assert share == pytest.approx(0.25, abs=0.02)
    assert page.locator("#shape").count() == 0
    box = page.locator("#big").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    assert page.locator("#tip").inner_text().startswith("S")


def of_bins(page: Page, folder: Path, named: Callable[[np.ndarray], np.ndarray]) -> Page:
    """The report of 40 × 40 units with four bins each, whose domains follow from their columns."""
    row, column = np.indices((80, 80)).reshape(2, -1)
    obs = pd.DataFrame({"array_row": row, "array_col": column, "unit": column // 2 * 40 + row // 2})
    obs["efnst"] = pd.Categorical(named(column))
    bins = AnnData(obs=obs.set_axis([f"s_004um_{r:05d}_{c:05d}-1" for r, c in zip(row, column, strict=True)]))
    bins.obsm["spatial"] = np.column_stack([column, row]) * 5.0 - 2.5
    bins.uns["section"] = {"grid": "square", "bin_um": 4, "unit_um": 8, "pitch_px": 5.0}
    return opened(page, written(small_section("square", side=40, bins=bins), folder))


def test_bins_are_drawn_in_the_place_of_units(page: Page, tmp_path: Path) -> None:
    """Nine tenths of the bins are of the second domain: its colour, and its legend."""
    of_bins(page, tmp_path, lambda column: np.where(column < 8, "1", "2"))
    page.get_by_label("Domains of the 6,400 bins of 4 µm").check()
    shown = pixels(page)
    drawn = (shown[:, :3] != 255).any(axis=1).sum()
    assert (shown[:, :3] == [230, 159, 0]).all(axis=1).sum() / drawn == pytest.approx(0.9, abs=0.02)
    page.locator("#biglegend button").nth(1).click()
    hidden = pixels(page)
    assert not (hidden[:, :3] == [230, 159, 0]).all(axis=1).any()
    assert (hidden[:, :3] == [0, 114, 178]).all(axis=1).sum() > 0.08 * drawn


def test_domains_of_bins_keep_their_names_and_colours(page: Page, tmp_path: Path) -> None:
    """Where bins lack a domain of the units and have one that these lack: a legend of what is drawn, by name."""
    of_bins(page, tmp_path, lambda column: np.select([column < 8, column < 40], ["3", "4"], "5"))
    page.get_by_label("Domains of the 6,400 bins of 4 µm").check()
    buttons = page.locator("#biglegend button")
    assert [text.split() for text in buttons.all_inner_texts()] == [["3", "640"], ["4", "2,560"], ["5", "3,200"]]
    shown, colours = pixels(page)[:, :3], {3: [0, 158, 115], 4: [204, 121, 167], 5: [86, 180, 233]}
    drawn = (shown != 255).any(axis=1).sum()
    shares = [(shown == colour).all(axis=1).sum() / drawn for colour in colours.values()]
    assert shares == pytest.approx([0.1, 0.4, 0.5], abs=0.02)
    buttons.nth(2).click()
    hidden = pixels(page)[:, :3]
    assert not (hidden == colours[5]).all(axis=1).any() and (hidden == colours[4]).all(axis=1).any()


def test_a_bin_is_found_by_its_unit(page: Page, tmp_path: Path) -> None:
    """By its own barcode, also by that of a bin of another width at the same place."""
    of_bins(page, tmp_path, lambda column: np.where(column < 8, "1", "2"))
    search = page.get_by_label("Find a unit, or the unit of a bin")
    for barcode in ("s_004um_00061_00022-1", "s_002um_00122_00045-1", "unit_008um_00030_00011"):
        search.fill("")
        page.keyboard.press("Enter")
        search.fill(barcode)
        page.keyboard.press("Enter")
        expect(page.locator("#spotinfo")).to_contain_text("unit_008um_00030_00011\nEfNST: 3")
    search.fill("s_004um_00099_00022-1")
    page.keyboard.press("Enter")
    expect(page.locator("#spotinfo")).to_have_text("No unit unit_008um_00049_00011 is in this section.")


def test_positions_in_um_are_no_pixels(page: Page, tmp_path: Path) -> None:
    context = small_section("square", 8)
    opened(page, written(context, tmp_path))
    expect(page.locator("#methods")).to_contain_text("0.8 µm per full-resolution px")
    context["geometry"] |= {"in_um": True}
    opened(page, written(context, tmp_path))
    expect(page.locator("#methods")).to_contain_text("pitch 10.0 µm")
    expect(page.locator("#methods")).not_to_contain_text("px")


@pytest.mark.parametrize("width", [1180, 420])
def test_long_names_do_not_widen_the_page(page: Page, tmp_path: Path, width: int) -> None:
    """Of sections of a reference, of labels in a legend, and in a warning; a name may have no place to break."""
    long, context = "a_long_name_" + 88 * "x", small_section("square", 8)
    context["reference"] = {
        "samples": [long, "b"],
        "correct_by": "none",
        "parameters": {},
        "files": {"space.json": "12ab"},
    }
    context["summary"] = context["summary"].changed(status="warn", warnings=[f"{long} and b have the same counts."])
    page.set_viewport_size({"width": width, "height": 900})
    opened(page, written(context, tmp_path))
    expect(page.locator("#methods")).to_contain_text(long)
    expect(page.locator(".warnings li")).to_contain_text(long)
    page.evaluate("name => document.querySelectorAll('.legend .key').forEach(key => key.append(name))", long)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
