"""Several sections in one task, as a GPU is given them."""

from pathlib import Path

import pytest
from tests.pipeline.conftest import QUICK, Efnst, Run, copy_project, launcher_of, simulate, write_sheet

from efnst.simulation.damage import damage

pytestmark = pytest.mark.slow

SAMPLES = ("sim_layers", "sim_nested")
FILES = (("patches", "patches.h5"), ("stains", "image_qc.json"))
IN_GROUPS = ("EMBED_PATCHES", "LEARN_EMBEDDING")


def tags(run: Run, process: str) -> list[str]:
    return [task["tag"] for task in run.tasks if task["process"] == process]


def test_sections_in_one_task_have_the_domains_that_they_have_alone(
    efnst: Efnst, finished: Run, cohort: Path, tmp_path: Path
) -> None:
    """Sections without image, and one that fails before, hold up none of the others; -resume finds the same tasks."""
    broken = simulate(tmp_path / "broken", sections=1, n_spots=70, n_regions=3) / "sim_layers" / "outs"
    damage(broken, "missing_matrix")
    n_domains = {"sim_layers": "7", "sim_nested": "4"}
    sound = [{"sample": each, "section": f"{cohort}/{each}/outs", "n_domains": n_domains[each]} for each in SAMPLES]
    plain = {"sample": "plain", "section": f"{cohort}/sim_nested/outs", "image": "none", "n_domains": "4"}
    rows = [sound[0], {"sample": "broken", "section": str(broken), "n_domains": "3"}, plain, sound[1]]
    options = (*QUICK, "--exports", "none", "--input", write_sheet(tmp_path / "sheet.csv", *rows))
    run = efnst(tmp_path, *options, "--sections_per_task", "3")
    assert run.status == 0, run.output
    assert tags(run, "EMBED_PATCHES") == ["2 sections"]
    assert sorted(tags(run, "LEARN_EMBEDDING")) == ["2 sections", "sim_nested"]
    status = {sample: row["status"] == "error" for sample, row in run.summary.items()}
    assert status == {"sim_layers": False, "broken": True, "plain": False, "sim_nested": False}
    for sample in SAMPLES:
        alone, grouped = (each.outdir / sample / "domains.csv" for each in (finished, run))
        assert grouped.read_bytes() == alone.read_bytes(), sample
    again = efnst(tmp_path, *options, "--sections_per_task", "3", "-resume")
    assert {task["status"] for task in again.tasks} == {"CACHED"}


def test_the_stains_of_sections_go_with_their_patches(efnst: Efnst, cohort: Path, tmp_path: Path) -> None:
    options = ("--stain_normalisation", "macenko", "--sections_per_task", "2", "--input", cohort / "samplesheet.csv")
    run = efnst(tmp_path, "-stub-run", *options)
    assert run.status == 0, run.output
    assert {process: tags(run, process) for process in IN_GROUPS} == {process: ["2 sections"] for process in IN_GROUPS}
    (patches,) = tmp_path.glob("work/*/*/patches")
    staged = [[(patches.parent / kind / place / name).resolve().parent for place in "12"] for kind, name in FILES]
    assert staged[0] == staged[1] and len(set(staged[0])) == 2


def test_a_section_that_is_killed_does_not_take_the_others_of_its_task_with_it(
    finished: Run, cohort: Path, tmp_path: Path
) -> None:
    """Twice it is tried again with them; then each has a process of its own."""
    project = copy_project(tmp_path / "project")
    program = project / "bin" / "learn_embedding.py"
    line = "    found = learn(members, options"
    kill = '    if members[0].sample == "sim_nested":\n        os.kill(os.getpid(), 9)\n'
    text = program.read_text()
    assert text.count(line) == 1
    program.write_text(text.replace(line, kill + line))
    options = (*QUICK, "--exports", "none", "--sections_per_task", "2", "--input", cohort / "samplesheet.csv")
    run = launcher_of(project)(tmp_path / "run", *options)
    assert run.status == 0, run.output
    ended = [task["exit"] for task in run.tasks if task["process"] == "LEARN_EMBEDDING"]
    assert sorted(ended) == ["0", "137", "137"]
    assert run.summary["sim_nested"]["status"] == "error"
    assert "the step was ended three times (exit status 137)" in run.summary["sim_nested"]["reason"]
    alone, grouped = (each.outdir / "sim_layers" / "domains.csv" for each in (finished, run))
    assert grouped.read_bytes() == alone.read_bytes()
