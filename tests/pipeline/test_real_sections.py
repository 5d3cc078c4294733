"""Four real sections of three kinds in one cohort: hexagonal and square grids, every source of image, and none."""

import csv
from pathlib import Path

import pytest
from tests.pipeline.conftest import QUICK, Efnst, Run, write_sheet

pytestmark = pytest.mark.slow

SECTIONS = {
    "dlpfc_151673": {"n_domains": "7", "labels": "labels.csv"},
    "her2st_A1": {"n_domains": "5", "labels": "labels.csv"},
    "her2st_C2": {"n_domains": "4", "image": "fullres/5714_HE_BT_C2.jpg"},
    "her2st_B1": {"n_domains": "4", "image": "none", "labels": "labels.csv"},
}
SOURCES = {"dlpfc_151673": "lowres", "her2st_A1": "hires", "her2st_C2": "fullres", "her2st_B1": "none"}


@pytest.fixture(scope="module")
def real(efnst: Efnst, real_sections: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run on the four sections, with all genes' default and few epochs; of its work folder only patches go."""
    rows = []
    for sample, cells in SECTIONS.items():
        folder = real_sections / sample
        paths = {name: str(folder / value) for name, value in cells.items() if "." in value}
        rows.append({"sample": sample, "section": str(folder)} | cells | paths)
    folder = tmp_path_factory.mktemp("real")
    sheet = write_sheet(folder / "sheet.csv", *rows)
    (folder / "kept.config").write_text("cleanup = false")
    kept = ("-c", "kept.config", "--cleanup")
    run = efnst(folder, *kept, *QUICK, "--input", sheet, "--ignore_labels", "undetermined")
    assert run.status == 0, run.output
    return run


def test_patches_are_removed_once_they_are_embedded(real: Run) -> None:
    work = real.outdir.parent / "work"
    assert len(list(work.glob("*/*/embedded/*/features.npz"))) >= 3
    assert not [path for path in work.glob("*/*/**/patches.h5") if path.exists()]


def test_every_section_is_finished(real: Run) -> None:
    assert list(real.summary) == list(SECTIONS)
    for sample, row in real.summary.items():
        assert row["status"] in ("pass", "warn"), row["reason"]
        assert (row["status"] == "warn") == bool(row["reason"])
        assert (real.outdir / sample / "report.html").stat().st_size > 50_000
        assert int(row["n_domains_found"]) <= int(row["n_domains_asked"]) == int(SECTIONS[sample]["n_domains"])


def test_every_source_of_the_image_was_used(real: Run) -> None:
    assert {sample: row["image_source"] for sample, row in real.summary.items()} == SOURCES
    embedded = {task["tag"] for task in real.tasks if task["process"] == "EMBED_PATCHES"}
    assert embedded == set(SOURCES) - {"her2st_B1"}


def test_labels_are_scored_where_given(real: Run) -> None:
    for sample, row in real.summary.items():
        for method in ("efnst", "diffused", "leiden"):
            if "labels" in SECTIONS[sample]:
                assert 0 < float(row[f"ari_{method}"]) < 1
            else:
                assert row[f"ari_{method}"] == ""


def test_every_spot_in_tissue_has_a_domain(real: Run) -> None:
    for sample, row in real.summary.items():
        with (real.outdir / sample / "domains.csv").open(newline="") as file:
            spots = [(spot["barcode"], int(spot["domain"])) for spot in csv.DictReader(file)]
        assert len({barcode for barcode, _ in spots}) == len(spots) == int(row["n_spots_kept"])
        assert {domain for _, domain in spots} == set(range(1, int(row["n_domains_found"]) + 1))
