"""-resume redoes what a change concerns and nothing else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from tests.pipeline.conftest import EXPORTS, QUICK, Efnst, Run, assert_no_doubt

pytestmark = pytest.mark.slow

ONE = "sim_layers"


@contextmanager
def changed(path: Path) -> Iterator[None]:
    """A comment at the end of a file, for a while."""
    content = path.read_text()
    path.write_text(content + "\n# A line that changes nothing but the file.\n")
    yield
    path.write_text(content)


@pytest.fixture(scope="module")
def again(efnst: Efnst, finished: Run) -> Callable[..., Run]:
    """The finished run, resumed."""

    def resume(sheet: Path, *options: str) -> Run:
        run = efnst(finished.outdir.parent, *QUICK, *EXPORTS, "-resume", "--input", sheet, *options)
        assert run.status == 0, run.output
        return run

    return resume


def test_nothing_changed_nothing_is_redone(again: Callable[..., Run], cohort: Path, project: Path) -> None:
    run = again(cohort / "samplesheet.csv")
    assert {task["status"] for task in run.tasks} == {"CACHED"}
    assert len(run.tasks) == 2 * 8 + 4
    assert_no_doubt(project, run)


def test_results_of_another_run_are_replaced_though_all_is_cached(again: Callable[..., Run], cohort: Path) -> None:
    outdir = again(cohort / "samplesheet.csv").outdir
    own = {path: path.read_bytes() for path in outdir.rglob("*") if path.is_file() and not is_of_nextflow(path)}
    assert len(own) > 50
    for path in own:
        path.write_text("of another run")
    run = again(cohort / "samplesheet.csv")
    assert {task["status"] for task in run.tasks} == {"CACHED"}
    assert [path for path, content in own.items() if path.read_bytes() != content] == []


def is_of_nextflow(path: Path) -> bool:
    """Whether Nextflow writes a file by itself, at every start."""
    return path.name == "run.json" or (path.parent.name == "pipeline_info" and path.suffix not in (".json", ".yml"))


@pytest.mark.parametrize(
    ("code", "options", "redone"),
    [
        (("reports", "section.py"), ("--exports=loupe",), ("SECTION_REPORT", "EXPORT_DOMAINS")),
        (
            ("domains", "clustering.py"),
            (),
            ("ASSIGN_DOMAINS", "DESCRIBE_DOMAINS", "EXPORT_DOMAINS", "SECTION_REPORT"),
        ),
        ((), ("--umap_spots=40000",), ("DESCRIBE_DOMAINS", "SECTION_REPORT")),
    ],
    ids=["report_and_exports", "clustering", "umap"],
)
def test_a_changed_line_or_parameter_redoes_its_steps_and_what_follows(
    again: Callable[..., Run],
    project: Path,
    one_section: Path,
    code: tuple[str, ...],
    options: tuple[str, ...],
    redone: tuple[str, ...],
) -> None:
    """On one of the sections; CHECK_INPUTS reads the samplesheet and all parameters."""
    with changed(project.joinpath("bin", "efnst", *code)) if code else nullcontext():
        run = again(one_section, *options)
    of_all = {("CHECK_INPUTS", ""), ("COHORT_SUMMARY", ""), ("MULTIQC", "")}
    assert run.ended("COMPLETED") == {(process, ONE) for process in redone} | of_all
    steps = {"READ_SECTION", "TILE_IMAGE", "EMBED_PATCHES", "LEARN_EMBEDDING", "ASSIGN_DOMAINS", "DESCRIBE_DOMAINS"}
    steps |= {"EXPORT_DOMAINS", "SECTION_REPORT"}
    assert run.ended("CACHED") == {(process, ONE) for process in steps - set(redone)} | {("EXPORT_ENCODER", "")}
