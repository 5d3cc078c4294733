"""Broken sections end as rows with a reason; the others finish, and a repaired one is picked up by -resume."""

import html
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.pipeline.conftest import QUICK, Efnst, Run, simulate, write_sheet

from efnst.simulation.damage import damage

pytestmark = pytest.mark.slow

# The summary's message for each damage; those of the image only where the image is used.
REASONS = {
    "missing_matrix": "Expected filtered_feature_bc_matrix.h5",
    "empty_matrix": "found an empty matrix",
    "wrong_scale": "Expected the spots inside the hires image",
    "corrupt_image": "Expected a complete tissue_hires_image.png, found that it cannot be read",
}
# Paths that no task can get, and what is said of them; {} is a folder with a sound section.
UNUSABLE = {
    "brackets": ("{}/s[1]", "expected a path without *?[]{}, $NAME and line breaks; rename it"),
    "braces": ("{}/{{a,b}}", "expected a path without *?[]{}, $NAME and line breaks; rename it"),
    "escapes": ("{}/\033[31mred\x9b0m", "\\u001b[31mred\\x9b0m"),
    "home": ("~/outs", "expected a path without ~; write it in full"),
    "scheme": ("foo://bar/outs", "cannot be reached (Cannot a find a file system provider for scheme: foo)"),
    "nul": ("file://{}/a%00b", "which does not exist"),
    "below_a_file": ("{}/sim_layers/labels.csv/outs", "which does not exist"),
    "long": ("{}/" + 300 * "a", "which does not exist"),
    "secret": ("https://user:topsecret@127.0.0.1:9/a.h5ad", "expected an address without password and query"),
}
NOT_ALLOWED = {  # what is closed of a section, and what is said of it
    "closed": (".", "which may not be read"),
    "closed_spatial": ("spatial", "Expected to be allowed to read"),
    "closed_matrix": ("filtered_feature_bc_matrix.h5", "Expected to be allowed to read"),
}
# Runs as an ordinary user: root reads everything. And locales that are not UTF-8 still exist.
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
ORDINARY = ("env", "LC_ALL=C", *(UNPRIVILEGED if os.getuid() == 0 else ()))
PLAIN = ("--use_image", "false")  # no encoder is exported that nothing needs
OF_THE_IMAGE = ("wrong_scale", "corrupt_image")
REPAIRED, OPENED = "empty_matrix", "closed_matrix"


@dataclass(frozen=True)
class Broken:
    """A cohort with broken sections: its samplesheet, the run on it, and the section to repair, as it is and intact."""

    sheet: Path
    run: Run
    section: Path
    intact: Path


@pytest.fixture(scope="module")
def broken(efnst: Efnst, cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Broken:
    """Sound sections, with and without a number of domains, one for each damage, one nowhere, one of too few spots."""
    folder = tmp_path_factory.mktemp("broken")
    simulate(folder / "sections", sections=len(REASONS) + 1, n_spots=70, n_regions=3, seed=2)
    sections = sorted((folder / "sections").glob("sim_*"))
    rows = [{"sample": "sound", "section": str(cohort / "sim_nested" / "outs"), "n_domains": "4"}]
    for kind, section in zip(REASONS, sections, strict=False):
        outs = section / "outs"
        if kind == REPAIRED:
            repaired, intact = outs, shutil.copytree(outs, folder / "intact")
        damage(outs, kind)
        image = "" if kind in OF_THE_IMAGE else "none"
        rows.append({"sample": kind, "section": str(outs), "image": image, "n_domains": "3"})
    rows += [{"sample": kind, "section": path.format(cohort)} for kind, (path, _) in UNUSABLE.items()]
    for kind, (part, _) in NOT_ALLOWED.items():
        outs = shutil.copytree(cohort / "sim_layers" / "outs", folder / kind)
        (outs / part).chmod(0)
        rows.append({"sample": kind, "section": str(outs), "image": "none"})
    sound = shutil.copytree(cohort / "sim_nested" / "outs", folder / "schöne Gewebe")
    (sound / "closed").mkdir(0)
    rows[0]["section"] = str(sound)
    rows.append({"sample": "nowhere", "section": str(folder / "nowhere"), "n_domains": "3"})
    rows.append({"sample": "too_few", "section": f"{sections[-1]}/outs", "image": "none", "n_domains": "90"})
    rows.append({"sample": "unasked", "section": str(cohort / "sim_nested" / "outs"), "image": "none"})
    sheet = write_sheet(folder / "sheet.csv", *rows)
    return Broken(sheet, efnst(folder, *QUICK, "--input", sheet, prefix=ORDINARY), repaired, intact)


def test_the_run_ends_well_and_the_sound_section_is_finished(broken: Broken) -> None:
    assert broken.run.status == 0, broken.run.output
    assert broken.run.summary["sound"]["status"] == "pass"
    assert (broken.run.outdir / "sound" / "report.html").is_file()


def test_the_log_says_how_far_the_run_is(broken: Broken) -> None:
    failed = len([row for row in broken.run.summary.values() if row["status"] == "error"])
    n_sections = len(broken.run.summary)
    assert f"efnst: {n_sections - failed} of {n_sections} sections done, {failed} failed\n" in broken.run.output


def test_the_log_says_why_each_section_failed(broken: Broken) -> None:
    reasons = {sample: row["reason"] for sample, row in broken.run.summary.items() if row["status"] == "error"}
    assert len(reasons) > 5
    for sample, reason in reasons.items():
        why = reason.partition(f"{sample}: ")[2].splitlines()[0]
        assert f"WARN: efnst: {sample}: {why}" in broken.run.output


def test_a_section_without_number_of_domains_gets_one(broken: Broken) -> None:
    row = broken.run.summary["unasked"]
    assert row["status"] != "error" and 2 <= int(row["n_domains_found"]) <= int(row["n_domains_asked"]) <= 12
    assert "How many domains" in (broken.run.outdir / "unasked" / "report.html").read_text()
    assert "How many domains" not in (broken.run.outdir / "sound" / "report.html").read_text()


def test_sound_section_has_the_same_domains_as_in_another_run(broken: Broken, finished: Run) -> None:
    """Two runs, two work folders, another cohort around it: the bytes are the same."""
    first, second = finished.outdir / "sim_nested" / "domains.csv", broken.run.outdir / "sound" / "domains.csv"
    assert not {task["hash"] for task in finished.tasks} & {task["hash"] for task in broken.run.tasks}
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("kind", REASONS)
def test_damage_is_named_in_the_summary(broken: Broken, kind: str) -> None:
    row = broken.run.summary[kind]
    assert row["status"] == "error"
    assert row["reason"].startswith(f"read_section: {kind}: ")
    assert REASONS[kind] in row["reason"]
    assert row["report"] == row["n_domains_found"] == ""


@pytest.mark.parametrize("kind", [*UNUSABLE, *NOT_ALLOWED])
def test_what_no_task_can_get_is_an_error_of_its_section(broken: Broken, kind: str) -> None:
    row = broken.run.summary[kind]
    assert row["status"] == "error"
    assert (UNUSABLE | NOT_ALLOWED)[kind][1] in row["reason"]
    assert "topsecret" not in row["reason"]


def test_no_terminal_obeys_a_samplesheet(broken: Broken) -> None:
    assert "\033" not in broken.run.output and "\x9b" not in broken.run.output


def test_section_that_is_nowhere_is_named_with_its_path(broken: Broken) -> None:
    reason = broken.run.summary["nowhere"]["reason"]
    assert f"nowhere: column section names `{broken.sheet.parent}/nowhere`, which does not exist" in reason


def test_more_domains_than_spots_are_refused_with_both_numbers(broken: Broken) -> None:
    row = broken.run.summary["too_few"]
    assert row["status"] == "error"
    assert "90" in row["reason"] and "70" in row["reason"]


def test_report_of_the_cohort_gives_every_reason(broken: Broken) -> None:
    report = html.unescape((broken.run.outdir / "multiqc_report.html").read_text())
    for sample, row in broken.run.summary.items():
        assert sample in report
        assert row["reason"] in report


def test_order_of_the_samplesheet_is_kept(broken: Broken) -> None:
    assert list(broken.run.summary) == ["sound", *REASONS, *UNUSABLE, *NOT_ALLOWED, *("nowhere", "too_few", "unasked")]


def test_repaired_section_is_picked_up_by_resume(broken: Broken, efnst: Efnst) -> None:
    """Files change in place: the time and the size of the folder stay the same, which is all that Nextflow looks at."""
    before = broken.section.stat()
    shutil.copytree(broken.intact, broken.section, dirs_exist_ok=True, copy_function=shutil.copyfile)
    os.utime(broken.section, ns=(before.st_atime_ns, before.st_mtime_ns))
    (broken.sheet.parent / OPENED / NOT_ALLOWED[OPENED][0]).chmod(0o644)
    run = efnst(broken.sheet.parent, *QUICK, "-resume", "--input", broken.sheet, outdir="repaired", prefix=ORDINARY)
    assert run.status == 0, run.output
    assert run.summary[REPAIRED]["status"] == "pass" and run.summary[OPENED]["status"] != "error"
    failed = {sample for sample, row in run.summary.items() if row["status"] == "error"}
    assert failed == {*REASONS, *UNUSABLE, *NOT_ALLOWED, "nowhere", "too_few"} - {REPAIRED, OPENED}
    redone = run.ended("COMPLETED") - {("CHECK_INPUTS", "")}  # which is told the folder of the results
    assert {tag for _, tag in redone} == {REPAIRED, OPENED, ""}


@pytest.fixture(scope="module")
def missing_matrix(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A row of a samplesheet whose section has no counts."""
    outs = simulate(tmp_path_factory.mktemp("missing"), sections=1, n_spots=70, n_regions=3) / "sim_layers" / "outs"
    damage(outs, "missing_matrix")
    return {"sample": "no_counts", "section": str(outs), "n_domains": "3"}


def test_cohort_without_any_sound_section_still_gets_its_report(
    efnst: Efnst, missing_matrix: dict[str, str], tmp_path: Path
) -> None:
    nowhere = {"sample": "nowhere", "section": "nowhere", "n_domains": "3"}
    run = efnst(tmp_path, *PLAIN, "--input", write_sheet(tmp_path / "sheet.csv", missing_matrix, nowhere))
    assert run.status == 0, run.output
    assert {row["status"] for row in run.summary.values()} == {"error"}
    report = html.unescape((run.outdir / "multiqc_report.html").read_text())
    assert all(row["reason"] in report for row in run.summary.values())


def test_strict_ends_the_run_and_names_the_section(
    efnst: Efnst, missing_matrix: dict[str, str], tmp_path: Path
) -> None:
    run = efnst(tmp_path, *PLAIN, "--input", write_sheet(tmp_path / "sheet.csv", missing_matrix), "--strict")
    assert run.status != 0
    assert "no_counts: Expected filtered_feature_bc_matrix.h5" in run.output
    assert not (run.outdir / "summary.csv").exists()


def test_strict_ends_the_run_for_a_section_that_is_nowhere(efnst: Efnst, tmp_path: Path) -> None:
    nowhere = {"sample": "nowhere", "section": "no/folder", "n_domains": "3"}
    run = efnst(tmp_path, *PLAIN, "--input", write_sheet(tmp_path / "sheet.csv", nowhere), "--strict")
    assert run.status != 0
    assert f"nowhere: column section names `{tmp_path}/no/folder`, which does not exist" in run.output
