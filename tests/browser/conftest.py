"""Both reports in a real browser, Chromium; the tests are skipped, visibly, where there is none."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData
from playwright.sync_api import Browser, Page, sync_playwright
from tests.support.records import example

from efnst.records.domains import Description, DomainsRecord, TrainingRecord
from efnst.records.quality import SectionQc
from efnst.records.section import Records
from efnst.reports.maps import section_view
from efnst.reports.section import Tables, report_context

SAMPLE = "sim_layers"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, headless."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the PATH")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that must not ask the network for anything, nor write an error to the console."""
    context = browser.new_context(viewport={"width": 1300, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    asked, errors = [], []
    context.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert [url[:200] for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert errors == []


def address(path: Path) -> str:
    """The address of a file."""
    return path.resolve().as_uri()


@pytest.fixture(scope="session")
def report(
    described_section: Path,
    run_program: Callable[..., subprocess.CompletedProcess],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """report.html of a small simulated section with image and labels."""
    made, folder = described_section, tmp_path_factory.mktemp("report")
    names = {"domains": f"{SAMPLE}.h5ad", "domains_json": "domains.json", "qc": "section_qc.json"}
    names |= {"image_qc": "image_qc.json", "training": "training.json", "description": "description.json"}
    names |= {"markers": "markers.csv", "spatial_genes": "spatial_genes.csv", "umap": "umap.csv", "source": SAMPLE}
    options = [part for option, name in names.items() for part in (f"--{option}", made / name)]
    done = run_program("section_report.py", "--sample", SAMPLE, *options, "--outdir", folder)
    assert done.returncode == 0, done.stderr
    return folder / "report.html"


def small_section(grid: str, side: int, bins: AnnData | None = None) -> dict:
    """What the template shows of a square section without an image, one domain in each quarter."""
    xy = np.indices((side, side)).reshape(2, -1).T.astype(float)
    if grid == "irregular":
        xy += np.random.default_rng(0).uniform(-0.2, 0.2, xy.shape)
    quarter = 2 * (xy[:, 1] > side / 2 - 0.5) + (xy[:, 0] > side / 2 - 0.5) + 1
    divisions = {name: pd.Categorical(quarter.astype(int).astype(str)) for name in ("efnst", "leiden", "diffused")}
    obs = pd.DataFrame(divisions, index=[f"S{number}" for number in range(len(xy))])
    if bins is not None:
        obs.index = [f"unit_008um_{y:05.0f}_{x:05.0f}" for x, y in xy]
    obs["efnst_confidence"], obs["total_counts"] = 1.0, np.arange(len(xy))
    obs["unit"], obs["array_row"], obs["array_col"] = np.arange(len(xy)), xy[:, 1].round(), xy[:, 0].round()
    data = AnnData(sp.csr_matrix(np.ones((len(xy), 2), np.float32)), obs, pd.DataFrame(index=["A", "B"]))
    data.obsm["spatial"] = 10 * xy
    image = {"source": "none", "file": "", "scale": 1.0, "width": 0, "height": 0}
    data.uns["section"] = {"sample": "S", "pitch_px": 10.0, "um_per_px": 0.8, "spot_diameter_px": 10.0, "grid": grid}
    data.uns["section"] |= {"image": image, "space_ranger": "HD"}
    if bins is not None:
        data.uns["section"] |= {"bin_um": 4.0, "unit_um": 8.0, "unit_reason": "as was asked for"}
    data.uns["efnst"] = {"parameters": {}, "versions": {}}
    method = {"n_domains": 4, "how": "mixture", "chaos": 0.1, "pas": 0.1, "silhouette": 0.5}
    names = ["1", "2", "3", "4"]
    adjacency = {"domains": names, "n_permutations": 9}
    adjacency |= dict.fromkeys(("pairs", "enrichment", "z_score"), [[0] * 4] * 4)
    spots = {"n_spots_in_tissue": len(xy), "n_spots_kept": len(xy), "lost": {}, "metrics_summary": {}, "warnings": []}
    numbers = {"n_domains_asked": 4, "n_domains_found": 4, "n_labelled": 0}
    genes = {"top_markers": {name: [] for name in names}, "top_spatial_genes": ["A"], "notes": []}
    dots = {"genes": [], "mean": [], "fraction": []}
    records = Records(
        qc=example(SectionQc, **spots),
        domains=example(DomainsRecord, **numbers, methods=dict.fromkeys(divisions, method)),
        training=example(TrainingRecord, loss={"total": [1.0]}),
        description=example(Description, **genes, dot_plot=dots, adjacency=adjacency),
    )
    tables = Tables(pd.DataFrame({"domain": [], "gene": []}), pd.DataFrame({"gene": ["A"], "morans_i": [0.0]}))
    return report_context(data, records, section_view(data, None), None, tables, bins)
