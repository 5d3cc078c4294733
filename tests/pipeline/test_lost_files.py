"""-resume does again what lost its files, as by the purge of a scratch disk."""

from pathlib import Path

import pytest
from tests.pipeline.conftest import Efnst

pytestmark = pytest.mark.slow

LOST = {  # files of a task of the section of that name; each alone is enough
    "READ_SECTION": "section.h5ad",
    "TILE_IMAGE": "patches.h5",  # as by --cleanup
    "EMBED_PATCHES": "embedded/*/features.npz",
    "LEARN_EMBEDDING": "learned/*/training.json",
    "ASSIGN_DOMAINS": "results/*/provenance.json",
    "DESCRIBE_DOMAINS": "results/*/domain_graph.csv",
    "SECTION_REPORT": "results/*/report.html",
    "EXPORT_DOMAINS": "results/*/*/*.*",
}


def test_a_task_whose_files_were_removed_is_done_again(efnst: Efnst, cohort: Path, tmp_path: Path) -> None:
    """In a samplesheet in YAML, with paths from the root."""
    rows = [f"- sample: {process}\n  section: {cohort / 'sim_layers'}\n" for process in LOST]
    (tmp_path / "sheet.yml").write_text("".join(rows))
    first = efnst(tmp_path, "-stub-run", "--input", "sheet.yml")
    assert first.status == 0, first.output
    for task in first.tasks:
        if task["process"] == task["tag"]:
            (folder,) = (tmp_path / "work").glob(f"{task['hash']}*")
            lost = [path for path in folder.glob(LOST[task["process"]]) if path.is_file()]
            assert lost, task
            for path in lost:
                path.unlink()
    again = efnst(tmp_path, "-stub-run", "-resume", "--input", "sheet.yml")
    assert again.status == 0, again.output
    assert {(process, process) for process in LOST} <= again.ended("COMPLETED")
    assert ("READ_SECTION", "TILE_IMAGE") in again.ended("CACHED")
    assert all((again.outdir / process / "report.html").is_file() for process in LOST)
