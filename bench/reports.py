#!/usr/bin/env python3
"""Size, seconds and memory of both reports, and how soon a browser shows them. Prints a Markdown table.

    ./efnst python bench/reports.py [--bins 500000] [--sections 3 200] [--folder /tmp/reports]

Every file is made by the program of the pipeline that makes it, in a process of its own. The section of 5,000 spots is
simulated with its image and taken through all steps; that of Visium HD is square bins of 8 µm, 500 genes, with layers
as domains; the cohorts are the summary, profile and thumbnail of the former, varied. "Drawn" is from opening the file
to the last map or, for MultiQC, to the first paint; "scrolled" is from the top to the bottom, once through all plots.
It needs Chromium on the PATH. `--folder` keeps the files for another time.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from PIL import Image
from playwright.sync_api import sync_playwright
from programs import measured
from scipy import sparse

from efnst.records.base import read_record, write_record
from efnst.records.cohort import SheetRow
from efnst.records.quality import SectionQc

PROJECT = Path(__file__).resolve().parents[1]
SAMPLE = "sim_layers"
N_DOMAINS = 7
SMALL_SPOTS = 500


def visium_section(folder: Path, n_spots: int) -> list:
    """All steps before the report on a simulated section with an image; the options of section_report.py."""
    measured("simulate_cohort", "--outdir", folder, "--sections", 1, "--n_spots", n_spots)
    outs, named = folder / SAMPLE / "outs", ("--sample", SAMPLE, "--outdir", folder)
    section = "--section", folder / "section.h5ad"
    measured("read_section", *named, "--source", outs, "--labels", folder / SAMPLE / "labels.csv")
    measured("tile_image", *named, *section, "--source", outs)
    measured("learn_embedding", *named, *section, "--n_seeds", 2, "--epochs", 30)
    for name in ("embedding.npz", "training.json"):
        (folder / SAMPLE / name).rename(folder / name)
    learned = "--embedding", folder / "embedding.npz", "--training", folder / "training.json"
    measured("assign_domains", *named, *section, *learned, "--n_domains", N_DOMAINS)
    return [*options(folder), "--qc", folder / "section_qc.json", "--source", outs]


def hd_section(folder: Path, n_bins: int) -> list:
    """A section of square bins with layers as domains, as assign_domains.py would leave it; options as above."""
    rng = np.random.default_rng(0)
    side = int(np.ceil(n_bins**0.5))
    row, column = np.indices((side, side)).reshape(2, -1)[:, :n_bins]
    layer = ((row + 30 * np.sin(column / 60)) / side * N_DOMAINS).clip(0, N_DOMAINS - 1).astype(int)
    size_order = np.argsort(-np.bincount(layer), kind="stable")
    domain = np.argsort(size_order)[layer] + 1
    rate = 0.15 * (1 + 3 * (np.arange(500) % N_DOMAINS == np.arange(N_DOMAINS)[:, None]))
    counts = sparse.vstack([sparse.csr_matrix(rng.poisson(rate[part])) for part in np.array_split(layer, 50)]).tocsr()
    noisy = np.where(rng.random(n_bins) < 0.1, rng.integers(1, N_DOMAINS + 1, n_bins), domain)
    levels = [str(number) for number in range(1, N_DOMAINS + 1)]
    groups = {"efnst": domain, "diffused": domain, "leiden": noisy}
    obs = pd.DataFrame({name: pd.Categorical(values.astype(str), levels) for name, values in groups.items()})
    obs.index = [f"s_008um_{a:05d}_{b:05d}-1" for a, b in zip(row, column, strict=True)]
    obs["efnst_confidence"] = rng.choice([0.5, 0.75, 1], n_bins)
    obs["total_counts"], obs["n_genes_by_counts"] = np.asarray(counts.sum(1)).ravel(), counts.getnnz(1)
    obs["pct_counts_mt"] = rng.gamma(4, 1, n_bins).round(3)
    data = AnnData(counts.astype(np.int32), obs, pd.DataFrame(index=[f"GENE{number}" for number in range(500)]))
    data.obsm["spatial"] = 29.2 * np.column_stack([column, row]).astype(float)
    data.obsm["X_efnst"] = (np.eye(N_DOMAINS)[layer] * 4 + rng.normal(size=(n_bins, N_DOMAINS))).astype(np.float32)
    image = {"source": "none", "file": "", "scale": 1.0, "width": 0, "height": 0}
    geometry = {"sample": SAMPLE, "grid": "square", "pitch_px": 29.2, "um_per_px": 8 / 29.2, "spot_diameter_px": 29.2}
    data.uns["section"] = geometry | {"image": image, "space_ranger": "HD", "bin_um": 8}
    data.uns["efnst"] = {"parameters": {}, "versions": {}}
    data.write_h5ad(folder / f"{SAMPLE}.h5ad")
    small = folder / "small"  # whose records those of the bins are like
    visium_section(small, SMALL_SPOTS)
    for name in ("domains.json", "training.json"):
        shutil.copy(small / name, folder)
    qc = read_record(small / "section_qc.json", SectionQc).changed(n_spots_in_tissue=n_bins, n_spots_kept=n_bins)
    write_record(folder / "section_qc.json", qc)
    return [*options(folder), "--qc", folder / "section_qc.json", "--source", folder]


def options(folder: Path) -> list:
    """The options of section_report.py that both sections share."""
    names = {"domains": f"{SAMPLE}.h5ad", "domains_json": "domains.json", "training": "training.json"}
    names |= {"description": "description.json", "markers": "markers.csv", "spatial_genes": "spatial_genes.csv"}
    names |= {"umap": "umap.csv"}
    if (folder / "image_qc.json").exists():
        names["image_qc"] = "image_qc.json"
    files = [part for option, name in names.items() for part in (f"--{option}", folder / name)]
    return ["--sample", SAMPLE, *files, "--outdir", folder]


def cohort(made: Path, folder: Path, n_sections: int) -> list:
    """Summaries, profiles and thumbnails of `n_sections` sections, varied from one; options of cohort_summary.py."""
    rng = np.random.default_rng(0)
    summary = json.loads((made / "section_summary.json").read_text())
    sums = pd.read_csv(made / f"{SAMPLE}_pseudobulk.csv", index_col=["gene", "gene_id"], keep_default_na=False)
    for name in ("summaries", "pseudobulk", "thumbnails", "described"):
        (folder / name).mkdir(parents=True)
    names = [f"sample_{number:03d}" for number in range(n_sections)]
    for name in names:
        factor = float(rng.lognormal(0, 0.2))
        varied = summary | {"sample": name} | {key: summary[key] * factor for key in ("median_counts", "median_genes")}
        varied["quantiles"] = {key: five and [v * factor for v in five] for key, five in summary["quantiles"].items()}
        varied["loss"] = {key: [[n, v * factor] for n, v in curve] for key, curve in summary["loss"].items()}
        varied["lost"] = {"min_counts_per_spot": int(rng.integers(0, 200)), "max_pct_mt": int(rng.integers(0, 50))}
        (folder / "summaries" / f"{name}.json").write_text(json.dumps(varied))
        pd.DataFrame(rng.poisson(sums * factor), sums.index, sums.columns).to_csv(
            folder / "pseudobulk" / f"{name}_pseudobulk.csv"
        )
        (folder / "described" / name).mkdir()
        for file in ("markers.csv", "embedding_sample.npz"):
            shutil.copy(made / file, folder / "described" / name)
        with Image.open(made / f"{SAMPLE}_thumbnail.webp") as thumbnail:  # as large as that of the section
            thumbnail.rotate(int(rng.integers(4)) * 180).save(
                folder / "thumbnails" / f"{name}_thumbnail.webp", quality=80, method=6
            )
    empty = dict.fromkeys(("section", "image", "labels", "problem", "group", "bin_um", "library"), "")
    empty |= {"n_domains": None, "covariates": {}}
    write_record(folder / "sections.json", [SheetRow(id=name, **empty) for name in names])
    names = ("summaries", "pseudobulk", "thumbnails", "described")
    inputs = [part for name in names for part in (f"--{name}", folder / name)]
    return ["--sections", folder / "sections.json", *inputs, "--common", "--outdir", folder / "content"]


def multiqc(folder: Path) -> float:
    """Run MultiQC on the content, strictly; its seconds."""
    config = PROJECT / "assets" / "multiqc_config.yml"
    command = [sys.executable, "-I", "-m", "multiqc", "--strict", "--force", "--quiet", "--config", config]
    start = time.perf_counter()
    subprocess.run([*command, "--outdir", folder, "--filename", "multiqc_report.html", folder / "content"], check=True)
    return time.perf_counter() - start


def opened(path: Path, is_section: bool) -> tuple[float, float]:
    """Seconds until a browser has drawn the report, and until it was scrolled through; an error in it ends this."""
    program = next(found for name in ("chromium", "google-chrome") if (found := shutil.which(name)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        start = time.perf_counter()
        page.goto(path.resolve().as_uri(), timeout=300_000)
        if is_section:
            page.wait_for_selector("body[data-ready=yes]", timeout=300_000)
            drawn = time.perf_counter() - start
        else:
            paint = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
            drawn = page.wait_for_function(paint, timeout=300_000).json_value() / 1000
        start = time.perf_counter()
        height = page.evaluate("document.documentElement.scrollHeight")
        for top in range(0, height, 900):
            page.evaluate("top => new Promise(done => { scrollTo(0, top); requestAnimationFrame(done) })", top)
        scrolled = time.perf_counter() - start
        browser.close()
    if errors:
        raise RuntimeError(f"{path}: {errors}")
    return drawn, scrolled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spots", type=int, default=5000)
    parser.add_argument("--bins", type=int, default=500_000)
    parser.add_argument("--sections", type=int, nargs="*", default=[3, 200])
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        base = given.folder or Path(scratch)
        print("| report | MB | seconds | peak GB | drawn, s | scrolled, s |\n|---|---|---|---|---|---|")
        for kind, number, make in (("spots", given.spots, visium_section), ("bins", given.bins, hd_section)):
            if not number:
                continue
            folder = base / kind
            folder.mkdir(parents=True, exist_ok=True)
            arguments = make(folder, number)
            domains = "--sample", SAMPLE, "--domains", folder / f"{SAMPLE}.h5ad", "--outdir", folder
            seconds, _, peak = measured("describe_domains", *domains)
            print(f"| (describing {number:,} {kind}, with UMAP) | | {seconds:.0f} | {peak:.1f} | | |", flush=True)
            seconds, _, peak = measured("section_report", *arguments)
            row(f"section, {number:,} {kind}", folder / "report.html", seconds, peak, True)
        for number in given.sections:
            folder = base / f"cohort_{number}"
            shutil.rmtree(folder, ignore_errors=True)
            seconds, _, peak = measured("cohort_summary", *cohort(base / "spots", folder, number))
            row(f"MultiQC, {number} sections", folder / "multiqc_report.html", seconds + multiqc(folder), peak, False)


def row(name: str, path: Path, seconds: float, peak: float, is_section: bool) -> None:
    """Print one row of the table."""
    drawn, scrolled = opened(path, is_section)
    size = path.stat().st_size / 1e6
    print(f"| {name} | {size:.1f} | {seconds:.1f} | {peak:.1f} | {drawn:.1f} | {scrolled:.1f} |", flush=True)


if __name__ == "__main__":
    main()
