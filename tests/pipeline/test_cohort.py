"""Scope cohort and a reference through Nextflow: one vocabulary in all files, sections that fail, names."""

import csv
import json
import os
import shutil
from pathlib import Path

import anndata
import pytest
from tests.pipeline.conftest import QUICK, Efnst, Run, assert_no_doubt, write_sheet

pytestmark = pytest.mark.slow

SAMPLES = ("sim_layers", "sim_nested")
GROUPS = ("Müller's (A)/1+, $HOME", '-n `date` "B"; 0,5 °C \\n #*')
OF_REFERENCE = (*QUICK, "--use_image", "false", "--exports", "none")
OPTIONS = (*OF_REFERENCE, "--n_domains", "4")


@pytest.fixture(scope="module")
def sheet(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both sections, the labels of both, and one whose counts are damaged."""
    folder = tmp_path_factory.mktemp("together")
    shutil.copytree(cohort / "sim_layers" / "outs", folder / "broken")
    (folder / "broken" / "filtered_feature_bc_matrix.h5").write_bytes(b"no counts")
    rows = [
        {"sample": sample, "section": f"{cohort / sample / 'outs'}", "labels": f"{cohort / sample / 'labels.csv'}"}
        for sample in SAMPLES
    ]
    rows = [row | {"group": group} for row, group in zip(rows, GROUPS, strict=True)]
    return write_sheet(folder / "sheet.csv", *rows, {"sample": "broken", "section": f"{folder / 'broken'}"})


@pytest.fixture(scope="module")
def together(efnst: Efnst, sheet: Path) -> Run:
    run = efnst(sheet.parent, *OPTIONS, "--scope", "cohort", "--learn_labels", "true", "--input", sheet)
    assert run.status == 0, run.output
    return run


def test_nothing_of_the_only_run_into_a_folder_is_doubted(project: Path, together: Run) -> None:
    assert_no_doubt(project, together)


def rows(run: Run, sample: str) -> list[dict[str, str]]:
    with (run.outdir / sample / "domains.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_broken_section_does_not_end_the_cohort(together: Run) -> None:
    assert together.summary["broken"]["status"] == "error"
    assert all((together.outdir / sample / "report.html").exists() for sample in SAMPLES)


def test_others_may_read_all_results(together: Run) -> None:
    """As the umask has it: a folder of results, and its reference above all, is shared."""
    os.umask(umask := os.umask(0))
    files = [path for path in together.outdir.rglob("*") if path.is_file()]
    assert "space.safetensors" in {path.name for path in files}
    assert [path for path in files if path.stat().st_mode & 0o444 != 0o444 & ~umask] == []


def test_groups_come_to_the_programs_unchanged(together: Run) -> None:
    space = json.loads((together.outdir / "reference" / "space.json").read_text())
    assert set(space["components"]["correction"]["batches"]) == set(GROUPS)


def test_domains_have_one_colour_everywhere(together: Run) -> None:
    colours = {}
    for sample in SAMPLES:
        section = anndata.read_h5ad(together.outdir / sample / f"{sample}.h5ad")
        for domain, colour in zip(section.obs["efnst"].cat.categories, section.uns["efnst_colors"], strict=True):
            assert colours.setdefault(domain, colour) == colour
    assert colours.keys() <= {"1", "2", "3", "4"}


def test_names_are_those_of_the_other_section(together: Run) -> None:
    for sample in SAMPLES:
        assert {row["name"] for row in rows(together, sample)} <= {"unknown", *labels(together, sample)}


def labels(run: Run, sample: str) -> set[str]:
    """The labels of the other section."""
    other = next(name for name in SAMPLES if name != sample)
    return set(anndata.read_h5ad(run.outdir / other / f"{other}.h5ad").obs["label"].astype(str))


def test_the_reference_finds_the_same_domains_again(efnst: Efnst, project: Path, together: Run, sheet: Path) -> None:
    reference = together.outdir / "reference"
    about = json.loads((reference / "reference.json").read_text())
    assert about["samples"] == list(SAMPLES)
    assert {path.name for path in reference.iterdir()} == {"README.md", "reference.json", *about["files"]}
    run = efnst(sheet.parent, *OF_REFERENCE, "--reference", reference, "--input", sheet, outdir="later")
    assert run.status == 0, run.output
    assert_no_doubt(project, run)
    assert "LEARN_EMBEDDING" not in {task["process"] for task in run.tasks}
    for sample in SAMPLES:
        pairs = zip(rows(together, sample), rows(run, sample), strict=True)
        known = [first["domain"] == again["domain"] for first, again in pairs if again["domain"] != "0"]
        assert len(known) > 0.9 * len(rows(run, sample)) and sum(known) > 0.98 * len(known)


def test_a_reference_and_a_cohort_are_refused_together(efnst: Efnst, sheet: Path, tmp_path: Path) -> None:
    run = efnst(tmp_path, *OPTIONS, "--scope", "cohort", "--reference", tmp_path, "--input", sheet)
    assert run.status != 0 and "Expected --scope cohort or --reference, found both" in run.output
