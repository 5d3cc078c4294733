"""What the last run into a folder did not make is told to be an earlier one's."""

import os
from pathlib import Path

import pytest
from tests.support.places import PROJECT

from efnst.program.parameters import defaults, read_schema
from efnst.provenance.left_over import left_below, unmade

USUAL = defaults(read_schema(PROJECT / "nextflow_schema.json"))
COHORT = {"scope": "cohort", "gene_sets": "sets.gmt"}
MADE = {  # what makes it; none where a usual run does
    "reference/space.json": COHORT,
    "mixing.csv": {"reference": "ref"},
    "shared_gene_sets.csv": {"scope": "cohort"},
    "models/encoder.onnx": {"save_model": True},
    "S1/model.pt": {"save_model": True},
    "S1/gene_sets.csv": {"gene_sets": "sets.gmt"},
    "S1/exports/S1.zarr/tables/table": {"exports": "all"},
    "S1/exports/domains_hires.geojson": {},
    "S1/exports/loupe.csv": {},
    "S1/figures/domains.svg": {},
    "S1/S1_bins.h5ad": {},
}
UNMADE = (  # beside other parameters
    ("S1/figures/domains.svg", {"exports": "loupe, geojson"}, "figures"),
    ("S1/figures", {"exports": "none"}, "figures"),
    ("S1/exports/loupe.csv", {"exports": "geojson"}, "export for Loupe Browser"),
    ("S1/S1_bins.h5ad", {"keep_bins": False}, "files of bins"),
    ("S1/model.pt", {"save_model": True, "scope": "cohort"}, "models of sections"),
    ("models", {"save_model": True, "use_image": False}, "models"),
    ("reference", {"scope": "cohort", "reference": "ref"}, "reference"),
)


@pytest.mark.parametrize("place", MADE)
def test_what_a_run_makes_is_no_left_over(tmp_path: Path, place: str) -> None:
    assert unmade(tmp_path / place, tmp_path, USUAL | MADE[place]) == ""
    assert bool(unmade(tmp_path / place, tmp_path, USUAL)) == bool(MADE[place])
    assert unmade(tmp_path / place, tmp_path, {}) == "", "the parameters are not known"


@pytest.mark.parametrize(("place", "given", "what"), UNMADE)
def test_what_a_run_does_not_make_is_one(tmp_path: Path, place: str, given: dict, what: str) -> None:
    assert unmade(tmp_path / place, tmp_path, USUAL | given) == what


@pytest.mark.parametrize("place", ["S1/domains.csv", "x_bins/x_bins.h5ad", "S1/exports", "summary.csv", "S1/mine.txt"])
def test_what_every_run_makes_and_what_is_the_user_s_is_none(tmp_path: Path, place: str) -> None:
    assert unmade(tmp_path / place, tmp_path, USUAL | {"exports": "none", "keep_bins": False}) == ""


def test_a_folder_names_what_is_left_in_it(tmp_path: Path) -> None:
    made = ("S1/figures/domains.svg", "S1/exports/loupe.csv", "S1/domains.csv", "S2/gene_sets.csv", "mixing.csv")
    records = ("pipeline_info/provenance/S1.json", "pipeline_info/provenance/S2.json")
    for place in (*made, *records, "paper/figures/mine.svg"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("")
    parameters = USUAL | {"exports": "loupe"}
    assert left(tmp_path, tmp_path, parameters) == ["S1/figures", "S2/gene_sets.csv", "mixing.csv"]
    assert left(tmp_path / "S1", tmp_path, parameters) == ["S1/figures"]


def left(folder: Path, outdir: Path, parameters: dict, start: float = 0) -> list[str]:
    """What `left_below` names, as text."""
    return [path.as_posix() for path in left_below(folder, outdir, parameters, start)]


def test_what_was_there_before_the_run_is_left_over(tmp_path: Path) -> None:
    """A folder whose every file is so is named alone, and no file of the user's."""
    old = ("S1/domains.csv", "S1/figures/domains.svg", "S1/mine.txt", "data/matrix.h5ad", "summary.csv", "own.h5ad")
    new = ("S1/report.html", "S1/exports/loupe.csv", "sections.csv", "pipeline_info/provenance/S1.json")
    for place in (*old, *new):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("")
    for place in (*old, "S1/figures"):
        os.utime(tmp_path / place, (1000, 1000))
    assert left(tmp_path, tmp_path, USUAL, start=2000) == ["S1/domains.csv", "S1/figures", "summary.csv"]
    assert left(tmp_path / "S1", tmp_path, USUAL, start=2000) == ["S1/domains.csv", "S1/figures"]
    assert left(tmp_path, tmp_path, USUAL, start=1000) == []


MINE = ("S1/mine.h5ad", "S1/exports/mine.geojson", "S1/my.zarr", "S1/notes/markers.csv", "S1/S2.h5ad", "summary.txt")


def test_what_is_the_user_s_is_no_left_over(tmp_path: Path) -> None:
    """Whatever its ending, in a section's folder too; also what the run itself writes as it starts, by any clock."""
    published = ("S1/S1.h5ad", "S1/S1_bins.h5ad", "S1/exports/S1.zarr", "S1/exports/domains_um.geojson", "summary.csv")
    kept = ("pipeline_info/provenance/S1.json", "pipeline_info/sections.json", "pipeline_info/parameters.json")
    for place in (*published, *MINE, *kept):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("")
        os.utime(tmp_path / place, (1000, 1000))
    parameters = USUAL | {"exports": "all"}
    old = {*published, "pipeline_info/provenance/S1.json"}
    assert set(left(tmp_path, tmp_path, parameters, start=2000)) == old
