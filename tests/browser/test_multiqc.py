"""The cohort's report: it draws, and its gallery leads to a section's report."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import SAMPLE, address
from tests.support.places import PROJECT
from tests.support.records import example

from efnst.records.base import write_record
from efnst.records.cohort import SheetRow

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cohort_report(report: Path, described_section: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """multiqc_report.html of a cohort of one, beside the section's folder as the pipeline publishes it."""
    folder = tmp_path_factory.mktemp("cohort")
    (folder / SAMPLE).mkdir()
    shutil.copy(report, folder / SAMPLE / "report.html")
    write_record(folder / "sections.json", [example(SheetRow, id=SAMPLE)])
    program = [sys.executable, PROJECT / "bin" / "cohort_summary.py", "--sections", folder / "sections.json"]
    made = report.parent
    program += ["--summaries", made / "section_summary.json", "--thumbnails", made / f"{SAMPLE}_thumbnail.webp"]
    program += ["--pseudobulk", described_section / f"{SAMPLE}_pseudobulk.csv", "--outdir", folder / "content"]
    subprocess.run(program, check=True, capture_output=True)
    options = ["--strict", "--config", PROJECT / "assets" / "multiqc_config.yml", "--outdir", folder]
    multiqc = [sys.executable, "-m", "multiqc", *options, "--filename", "multiqc_report.html", folder / "content"]
    subprocess.run(multiqc, check=True, capture_output=True)
    return folder / "multiqc_report.html"


def test_the_gallery_leads_to_the_section(page: Page, cohort_report: Path) -> None:
    page.goto(address(cohort_report))
    picture = page.locator(f'img[alt="{SAMPLE}"]')
    picture.scroll_into_view_if_needed()
    page.wait_for_function("image => image.complete && image.naturalWidth > 100", arg=picture.element_handle())
    picture.click()
    page.wait_for_selector("body[data-ready=yes]")
    assert page.url == address(cohort_report.parent / SAMPLE / "report.html")
    expect(page.locator("h1")).to_contain_text(SAMPLE)
