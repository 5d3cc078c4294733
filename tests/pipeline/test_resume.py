"""-resume redoes what a change concerns and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.pipeline.conftest import EXPORTS, QUICK, Efnst, Run

pytestmark = pytest.mark.slow

SAMPLES = ("sim_layers", "sim_nested")


@contextmanager
def changed(path: Path) -> Iterator[None]:
    """A comment at the end of a file, for a while."""
    content = path.read_text()
    path.write_text(content + "\n# A line that changes nothing but the file.\n")
    yield
    path.write_text(content)


@pytest.fixture(scope="module")
def again(efnst: Efnst, finished: Run, cohort: Path) -> Efnst:
    """The finished run, resumed."""

    def resume(*options: str) -> Run:
        run = efnst(
            finished.outdir.parent, *QUICK, *EXPORTS, "-resume", "--input", cohort / "samplesheet.csv", *options
        )
        assert run.status == 0, run.output
        return run

    return resume


def steps(*processes: str) -> set[tuple[str, str]]:
    """These processes for both sections, and the cohort's."""
    return {(process, sample) for process in processes for sample in SAMPLES} | {
        ("COHORT_SUMMARY", ""),
        ("MULTIQC", ""),
    }


def test_nothing_changed_nothing_is_redone(again: Efnst) -> None:
    run = again()
    assert {task["status"] for task in run.tasks} == {"CACHED"}
    assert len(run.tasks) == 2 * 8 + 4


def test_report_code_changed(again: Efnst, project: Path) -> None:
    with changed(project / "bin" / "efnst" / "reports" / "section.py"):
        run = again()
    assert run.ended("COMPLETED") == steps("SECTION_REPORT")
    assert len(run.ended("CACHED")) == 2 * 7 + 2


def test_clustering_code_changed(again: Efnst, project: Path) -> None:
    with changed(project / "bin" / "efnst" / "domains" / "clustering.py"):
        run = again()
    assert run.ended("COMPLETED") == steps("ASSIGN_DOMAINS", "DESCRIBE_DOMAINS", "EXPORT_DOMAINS", "SECTION_REPORT")
    learned = {(step, sample) for step in ("READ_SECTION", "EMBED_PATCHES", "LEARN_EMBEDDING") for sample in SAMPLES}
    assert learned <= run.ended("CACHED")


@pytest.mark.parametrize(
    ("option", "process", "untouched"),
    [
        ("--refinement_rounds=3", "ASSIGN_DOMAINS", ("READ_SECTION", "TILE_IMAGE", "EMBED_PATCHES", "LEARN_EMBEDDING")),
        ("--umap_spots=40000", "DESCRIBE_DOMAINS", ("ASSIGN_DOMAINS", "EXPORT_DOMAINS", "LEARN_EMBEDDING")),
        ("--exports=loupe", "EXPORT_DOMAINS", ("ASSIGN_DOMAINS", "DESCRIBE_DOMAINS", "SECTION_REPORT")),
    ],
)
def test_a_parameter_redoes_the_steps_that_take_it(
    again: Efnst, option: str, process: str, untouched: tuple[str, ...]
) -> None:
    """And what follows from them; CHECK_INPUTS reads all parameters."""
    run = again(option)
    redone = {name for name, _ in run.ended("COMPLETED")}
    assert {process, "CHECK_INPUTS"} <= redone and not redone & set(untouched)
    assert {(name, sample) for name in untouched for sample in SAMPLES} <= run.ended("CACHED")
