"""Sections that are called like files and folders of a task keep all of their results."""

from pathlib import Path

import pytest
from tests.pipeline.conftest import GENE_SETS, QUICK, Efnst, Run, write_sheet

from efnst.simulation.space_ranger import SMALL, simulate_section
from efnst.simulation.visium_hd import write_visium_hd

pytestmark = pytest.mark.slow
NAMES = ("cohort", "given", "results", "x_bins")


@pytest.fixture(scope="module")
def run(efnst: Efnst, cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three sections of Visium with an image, and one of bins, whose file of bins is not wanted."""
    folder = tmp_path_factory.mktemp("names")
    write_visium_hd(simulate_section(1, 0, SMALL), folder / "hd", n_bins=300)
    rows = [{"sample": name, "section": str(cohort / "sim_nested")} for name in NAMES[:-1]]
    rows.append({"sample": NAMES[-1], "section": "hd", "bin_um": "8", "image": "none"})
    sheet = write_sheet(folder / "sheet.csv", *(row | {"n_domains": "4"} for row in rows))
    given = ("--keep_bins", "false", "--exports", "loupe", "--gene_sets", GENE_SETS)
    ended = efnst(folder, *QUICK, *given, "--input", sheet)
    assert ended.status == 0, ended.output
    return ended


@pytest.mark.parametrize("name", NAMES)
def test_all_of_its_results_are_there(run: Run, name: str) -> None:
    assert run.summary[name]["status"] != "error", run.summary[name]["reason"]
    folder = run.outdir / name
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    tables = {"domains.csv", "markers.csv", "spatial_genes.csv", "umap.csv", "domain_graph.csv", "gene_sets.csv"}
    assert found == {f"{name}.h5ad", f"{name}_pseudobulk.csv", "report.html", "exports/loupe.csv"} | tables
    assert (run.outdir / "pipeline_info" / "provenance" / f"{name}.json").is_file()


def test_folders_of_the_tasks_are_not_published(run: Run) -> None:
    assert {path.name for path in run.outdir.iterdir() if path.is_dir()} >= set(NAMES)
    assert not (run.outdir / "cohort" / "cohort").exists() and not (run.outdir / "results" / "results").exists()
