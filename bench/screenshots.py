#!/usr/bin/env python3
"""The screenshots of README.md and docs/, from the results of `./efnst demo`. It needs Chromium on the PATH.

./efnst demo && ./efnst python bench/screenshots.py demo/results
"""

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

DOCS = Path(__file__).resolve().parents[1] / "docs"
MAX_BYTES = 150_000
SHOTS = {  # name: file of the results, size of the window, the element to begin at
    "report": ("sim_layers/report.html", (1180, 1000), "body"),
    "report_genes": ("sim_layers/report.html", (1180, 900), ".dots"),
    "multiqc": ("multiqc_report.html", (1400, 900), "#mqc-module-section-efnst_status"),
    "multiqc_gallery": ("multiqc_report.html", (1400, 1000), "#mqc-module-section-efnst_gallery"),
}


def shot(page: Page, begin: str) -> bytes:
    """What the window shows when `begin` is at its top."""
    page.locator(begin).first.evaluate("element => scrollTo(0, element.getBoundingClientRect().top + scrollY - 12)")
    page.wait_for_timeout(1500)  # pictures and plots that are drawn when they come into sight
    return page.screenshot()


def save(png: bytes, path: Path) -> None:
    """Write WebP of at most `MAX_BYTES`."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for quality in (90, 80, 70, 60, 45, 30):
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=quality, method=6)
        if buffer.tell() <= MAX_BYTES:
            break
    path.write_bytes(buffer.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    given = parser.parse_args()
    program = next(found for name in ("chromium", "google-chrome") if (found := shutil.which(name)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, (file, (width, height), begin) in SHOTS.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto((given.results / file).resolve().as_uri())
            save(shot(page, begin), DOCS / f"{name}.webp")
            print(f"{name}.webp: {(DOCS / f'{name}.webp').stat().st_size / 1e3:.0f} kB")
        browser.close()


if __name__ == "__main__":
    main()
