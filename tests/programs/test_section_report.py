"""section_report.py through its command line, on a simulated section that went through the real steps before it."""

import base64
import gzip
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.places import BIN

SAMPLE = "sim_layers"


def program(name: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run a program of the pipeline."""
    command = [sys.executable, BIN / f"{name}.py", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def must(name: str, *arguments: object) -> None:
    """Run a program that has to succeed."""
    done = program(name, *arguments)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(described_section: Path) -> Path:
    """What the steps before the report leave for one small section with an image and labels."""
    return described_section


def arguments(folder: Path, outdir: Path) -> list:
    """The options of the report."""
    names = {"domains": f"{SAMPLE}.h5ad", "domains_json": "domains.json", "qc": "section_qc.json"}
    names |= {"training": "training.json", "description": "description.json", "markers": "markers.csv"}
    names |= {"spatial_genes": "spatial_genes.csv", "umap": "umap.csv", "image_qc": "image_qc.json", "source": SAMPLE}
    files = [part for option, name in names.items() for part in (f"--{option}", folder / name)]
    return ["--sample", SAMPLE, *files, "--outdir", outdir]


def page_data(html: str) -> dict:
    """What the page's script reads."""
    return json.loads(re.search(r'<script type="application/json" id="report">(.*?)</script>', html).group(1))


def levels(packed: dict) -> np.ndarray:
    """The numbers of a packed array."""
    raw = np.frombuffer(gzip.decompress(base64.b64decode(packed["data"])), "<" + packed["kind"])
    return packed["least"] + raw * packed["step"]


def test_report_thumbnail_and_summary(folder: Path, tmp_path: Path) -> None:
    must("section_report", *arguments(folder, tmp_path))
    domains = json.loads((folder / "domains.json").read_text())
    summary = json.loads((tmp_path / "section_summary.json").read_text())
    assert summary["sample"] == SAMPLE
    assert summary["n_domains_asked"] == 4
    assert summary["ari_diffused"] == domains["methods"]["diffused"]["ari"]
    assert sum(summary["composition"].values()) == summary["n_spots_kept"]
    html = (tmp_path / "report.html").read_text()
    page = page_data(html)
    maps = page["maps"]
    assert maps["n"] == summary["n_spots_kept"] == 250
    assert maps["umap"]
    assert [layer["key"] for layer in maps["divisions"]] == ["efnst", "diffused", "leiden", "label"]
    assert page["image"].startswith("data:image/jpeg;base64,")
    assert "patches of 190 µm" not in html  # the network was trained without image features: no encoder is known
    assert "for up to 5 epochs" in html
    with Image.open(tmp_path / f"{SAMPLE}_thumbnail.webp") as thumbnail:
        assert thumbnail.format == "WEBP"
        assert thumbnail.width > thumbnail.height


def test_a_percentage_that_is_not_known_is_no_zero(folder: Path, tmp_path: Path) -> None:
    assert "median mitochondrial" in report_of(folder, tmp_path / "known")
    copy = shutil.copytree(folder, tmp_path / "copy")
    qc = json.loads((folder / "section_qc.json").read_text()) | {"median_pct_mt": None}
    qc["quantiles"]["pct_counts_mt"] = None
    (copy / "section_qc.json").write_text(json.dumps(qc))
    html = report_of(copy, tmp_path / "unknown")
    assert "median mitochondrial" not in html
    assert "No gene of the section is known as mitochondrial" in html and "not known" in html
    assert json.loads((tmp_path / "unknown" / "section_summary.json").read_text())["median_pct_mt"] is None


def test_where_domains_come_from_is_what_the_head_says(folder: Path, tmp_path: Path) -> None:
    domains = json.loads((folder / "domains.json").read_text())
    training = json.loads((folder / "training.json").read_text()) | {"seconds": 6.0}
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "domains.json").write_text(json.dumps(domains | {"n_domains_asked": 7}))
    used = {"samples": ["S", "T", "U"], "corrected": True}
    (copy / "training.json").write_text(json.dumps(training | {"cohort": used}))
    html = report_of(copy, tmp_path / "cohort")
    assert "<span>trained in 6 s, 3 sections together</span>" in html and "(7 requested)" in html
    used |= {"correct_by": "group", "files": {}, "parameters": training["parameters"]}
    (copy / "training.json").write_text(json.dumps(training | {"reference": used, "parameters": {}, "seconds": 0.0}))
    html = report_of(copy, tmp_path / "reference")
    assert "<span>not trained: brought to a reference</span>" in html and "(7 in the reference)" in html


def report_of(folder: Path, outdir: Path) -> str:
    """The report, as text on one line."""
    outdir.mkdir()
    must("section_report", *arguments(folder, outdir))
    return " ".join((outdir / "report.html").read_text().split())


def test_spots_lie_where_the_image_says(folder: Path, tmp_path: Path) -> None:
    """The tissue of the H&E image is darker under the spots than at its corners, so the maps fit the image."""
    must("section_report", *arguments(folder, tmp_path))
    page = page_data((tmp_path / "report.html").read_text())
    maps = page["maps"]
    picture = Image.open(io.BytesIO(base64.b64decode(page["image"].partition(",")[2]))).convert("L")
    assert (picture.width, picture.height) == (maps["width"], maps["height"])
    x, y = (levels(maps[axis]) for axis in ("x", "y"))
    under = [picture.getpixel((round(a), round(b))) for a, b in zip(x, y, strict=True)]
    corners = [picture.getpixel((x, y)) for x in (2, picture.width - 3) for y in (2, picture.height - 3)]
    assert sum(under) / len(under) < sum(corners) / 4 - 20


def test_missing_image_is_a_record_of_failure(folder: Path, tmp_path: Path) -> None:
    bare = tmp_path / SAMPLE
    shutil.copytree(folder / SAMPLE, bare, ignore=shutil.ignore_patterns("*.png"))
    options = [bare if part == folder / SAMPLE else part for part in arguments(folder, tmp_path)]
    done = program("section_report", *options, "--failure", tmp_path / "failure.json")
    assert done.returncode == 0
    record = json.loads((tmp_path / "failure.json").read_text())
    assert record["sample"] == SAMPLE
    assert record["step"] == "section_report"
    assert "tissue_hires_image.png" in record["reason"]
    assert program("section_report", *options).returncode == 2


def test_report_without_image(folder: Path, tmp_path: Path) -> None:
    section = tmp_path / "section.h5ad"
    outs = folder / SAMPLE
    must("read_section", "--sample", SAMPLE, "--source", outs, "--image", "none", "--outdir", tmp_path)
    results = "--embedding", folder / "embedding.npz", "--training", folder / "training.json", "--n_domains", 4
    clustering = "--clustering", "leiden"
    must("assign_domains", "--sample", SAMPLE, "--section", section, *results, *clustering, "--outdir", tmp_path)
    must(
        "describe_domains",
        "--sample",
        SAMPLE,
        "--domains",
        tmp_path / f"{SAMPLE}.h5ad",
        "--umap_spots",
        0,
        "--outdir",
        tmp_path,
    )
    shutil.copy(folder / "training.json", tmp_path)
    options = arguments(tmp_path, tmp_path)
    at = options.index("--image_qc")
    must("section_report", *options[:at], *options[at + 2 :])
    html = (tmp_path / "report.html").read_text()
    assert "This section was analysed without an image." in html
    assert page_data(html)["image"] == "" and page_data(html)["maps"]["umap"] is None
    assert "UMAP of EfNST" not in html
    assert "No labels were given" in html
    assert "NaN" not in re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert json.loads((tmp_path / "section_summary.json").read_text())["image_source"] == "none"
