"""Tasks that crash for reasons that no program foresees."""

from pathlib import Path

import pytest
from tests.pipeline.conftest import QUICK, Efnst, Run

pytestmark = pytest.mark.slow

# One section's task ends as a bug would end it; the cohort's is killed once, as by a scheduler that finds it too large.
CRASHES = """
process {
    withName: '.*:DESCRIBE_DOMAINS' {
        beforeScript = { meta.id == 'sim_layers' ? 'exit 1' : '' }
        ext.parameters = { params.subMap(['umap_spots', 'seed']) + [n_markers: 20] }
    }
    withName: 'COHORT_SUMMARY' {
        beforeScript = { task.attempt == 1 ? 'exit 137' : '' }
        memory = { 1.GB * task.attempt }
    }
}
"""


@pytest.fixture(scope="module")
def crashed(efnst: Efnst, finished: Run, cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The finished run once more, with the crashes."""
    config = tmp_path_factory.mktemp("crashes") / "crashes.config"
    config.write_text(CRASHES)
    options = ("-c", config, "-resume", "--input", cohort / "samplesheet.csv")
    return efnst(finished.outdir.parent, *QUICK, *options, outdir="crashed")


def test_other_sections_finish(crashed: Run) -> None:
    assert crashed.summary["sim_nested"]["status"] in ("pass", "warn")
    assert (crashed.outdir / "sim_nested" / "report.html").is_file()


def test_row_of_the_crashed_section_says_so(crashed: Run) -> None:
    row = crashed.summary["sim_layers"]
    assert (row["status"], row["report"]) == ("error", "")
    assert "ended unexpectedly; see pipeline_info/execution_trace.txt" in row["reason"]
    assert "ended unexpectedly" in (crashed.outdir / "multiqc_report.html").read_text()
    assert ("DESCRIBE_DOMAINS", "sim_layers") in crashed.ended("FAILED")


def test_the_run_ends_with_an_error_status(crashed: Run) -> None:
    assert crashed.status != 0


def test_killed_task_is_tried_again(crashed: Run) -> None:
    attempts = [task["exit"] for task in crashed.tasks if task["process"] == "COHORT_SUMMARY"]
    assert sorted(attempts) == ["0", "137"]
