"""-stub-run goes through the whole workflow without doing the work."""

import os
import re
from pathlib import Path

import pytest
from tests.pipeline.conftest import Efnst, copy_project, launcher_of
from tests.support.places import PROJECT

pytestmark = pytest.mark.slow

MODULES = (PROJECT / "modules" / "local").glob("*/main.nf")
PROCESSES = {name for module in MODULES for name in re.findall(r"^process (\w+)", module.read_text(), re.MULTILINE)}
TOGETHER = PROCESSES - {"APPLY_REFERENCE"}
ALONE = TOGETHER - {"FIT_DOMAINS"}
FOR_IMAGES = {"TILE_IMAGE", "FIT_STAIN", "EXPORT_ENCODER", "QUANTISE_ENCODER", "EMBED_PATCHES"}


@pytest.mark.parametrize(
    ("use_image", "scope", "processes"),
    [("true", "section", ALONE), ("true", "cohort", TOGETHER), ("false", "section", ALONE - FOR_IMAGES)],
)
def test_stub_run_goes_through_every_process(
    efnst: Efnst, cohort: Path, tmp_path: Path, use_image: str, scope: str, processes: set[str]
) -> None:
    options = ("--use_image", use_image, "--scope", scope, "--stain_normalisation", "macenko", "--precision", "int8")
    run = efnst(tmp_path, "-stub-run", "--input", cohort / "samplesheet.csv", *options)
    assert run.status == 0, run.output
    assert {task["status"] for task in run.tasks} == {"COMPLETED"}
    assert {task["process"] for task in run.tasks} == processes
    assert (run.outdir / "sim_nested" / "report.html").is_file()


def test_sections_are_brought_to_the_stain_of_their_reference(efnst: Efnst, one_section: Path, tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    reference.mkdir()
    (reference / "stain_reference.json").write_text("of the reference")
    options = ("--reference", reference, "--stain_normalisation", "macenko")
    run = efnst(tmp_path, "-stub-run", "--input", one_section, *options)
    assert run.status == 0, run.output
    assert "no process matching" not in run.output, "all selectors of the configuration fit, without learning too"
    assert {task["process"] for task in run.tasks} == ALONE - {"LEARN_EMBEDDING", "FIT_STAIN", "QUANTISE_ENCODER"} | {
        "APPLY_REFERENCE"
    }
    (used,) = tmp_path.glob("work/*/*/stain_reference.json")
    assert used.read_text() == "of the reference"


def test_another_group_redoes_nothing_of_a_section_by_itself(efnst: Efnst, cohort: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.csv"
    for group in ("a", "b"):
        sheet.write_text(f"sample,section,group\nS1,{cohort / 'sim_layers'},{group}\n")
        run = efnst(tmp_path, "-stub-run", "-resume", "--input", sheet)
        assert run.status == 0, run.output
    assert {process for process, _ in run.ended("COMPLETED")} == {"CHECK_INPUTS", "COHORT_SUMMARY", "MULTIQC"}


def test_the_project_may_lie_in_a_folder_whose_name_is_a_pattern(one_section: Path, tmp_path: Path) -> None:
    project = copy_project(tmp_path / "efnst [1]{a}")
    run = launcher_of(project)(tmp_path / "run", "-stub-run", "--use_image", "false", "--input", one_section)
    assert run.status == 0, run.output
    (template,) = (tmp_path / "run").glob("work/*/*/given/template")
    parts = (project / "assets" / "section_report").iterdir()
    assert {path.name for path in template.iterdir()} == {path.name for path in parts}


def test_the_memory_of_reading_grows_with_the_counts(efnst: Efnst, tmp_path: Path) -> None:
    folders = {"small": "outs", "bins": "binned_outputs/square_008um"}
    rows = ["sample,section,n_domains"]
    for sample, size in {"small": 10**6, "bins": 10**8}.items():
        matrix = tmp_path / sample / folders[sample] / "filtered_feature_bc_matrix.h5"
        matrix.parent.mkdir(parents=True)
        matrix.touch()
        os.truncate(matrix, size)
        rows.append(f"{sample},{sample},4")
    (tmp_path / "sheet.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "overlay.config").write_text(
        "process { withName: '.*:READ_SECTION' {\n"
        """beforeScript = { "echo ${task.tag} ${task.memory.mega} >> ${launchDir}/table" } } }\n"""
    )
    run = efnst(tmp_path, "-c", "overlay.config", "-stub-run", "--use_image", "false", "--input", "sheet.csv")
    assert run.status == 0, run.output
    asked = {line.split()[0]: int(line.split()[1]) for line in (tmp_path / "table").read_text().splitlines()}
    assert asked == {"small": 3087, "bins": 4608}
