"""The folder of results belongs to one run at a time, and a run that cannot write to it does not end as a success."""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.launcher.conftest import small_project  # noqa: F401
from tests.pipeline.conftest import Efnst, efnst, project, write_sheet  # noqa: F401
from tests.pipeline.test_refusals import words

pytestmark = pytest.mark.slow

LOCKS = {".run": fcntl.flock, ".lock": fcntl.lockf}  # of the launcher, of main.nf


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    """A samplesheet whose run takes no time."""
    return write_sheet(tmp_path / "sheet.csv", {"sample": "nowhere", "section": "nowhere"})


# Its report is one that Nextflow had no room for.
WORKFLOW = """
process LAST {
    publishDir "${params.outdir}/pipeline_info"
    output: path "execution_report.html"
    script: "touch execution_report.html"
}
workflow { LAST() }
"""


def locked(file: Path) -> bool:
    """Whether any process holds a lock on a file."""
    inode = f":{file.stat().st_ino}" if file.exists() else "none"
    return any(line.split()[5].endswith(inode) for line in Path("/proc/locks").read_text().splitlines())


@pytest.mark.parametrize("name", LOCKS)
def test_a_second_run_into_a_folder_is_refused(
    efnst: Efnst,  # noqa: F811
    sheet: Path,
    tmp_path: Path,
    name: str,
) -> None:
    info = tmp_path / "results" / "pipeline_info"
    info.mkdir(parents=True)
    (info / "execution_trace.txt").write_text("of the first run")
    with (info / name).open("w") as file:
        LOCKS[name](file, fcntl.LOCK_EX)
        run = efnst(tmp_path, "--input", sheet)
    assert run.status != 0
    assert "found that another run writes to results. Wait for its end" in words(run.output)
    assert not (info / "run.json").exists() and not (run.outdir / "sections.csv").exists()
    assert (info / "execution_trace.txt").read_text() == "of the first run"


@pytest.mark.parametrize(
    ("text", "is_known"),
    [
        ('{"seed": 1, "outdir": "else wh\\u00e8re"}', True),
        ("seed: 1\noutdir: else whère  # here\n", True),
        ("'outdir': \"else whère\"", True),
        ("{outdir: else whère}", False),  # main.nf claims it
    ],
)
def test_the_folder_may_be_named_in_a_file_of_parameters(
    small_project: Path,  # noqa: F811
    tmp_path: Path,
    text: str,
    is_known: bool,
) -> None:
    (small_project / "main.nf").write_text(WORKFLOW)
    file = tmp_path / ("parameters.json" if 'seed"' in text else "parameters.yml")
    file.write_text(text, encoding="utf-8")
    command = [small_project / "efnst", "run", "-params-file", file]
    info = tmp_path / "else whère" / "pipeline_info"
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (info / "execution_report.html").exists() and not (tmp_path / "results").exists()
    assert (info / ".run").exists() == is_known
    assert done.returncode == is_known, done.stdout + done.stderr
    assert ("Expected a complete else whère/pipeline_info/execution_report.html" in done.stderr) == is_known


@pytest.mark.parametrize("place", ["-c", "-profile"])
def test_a_folder_that_is_named_too_late_is_refused(
    project: Path,  # noqa: F811
    sheet: Path,
    tmp_path: Path,
    place: str,
) -> None:
    """Nextflow reads these after it was told what goes where: a part of the results would be elsewhere."""
    (tmp_path / "late.config").write_text("params.outdir = 'late'\n")
    (tmp_path / "nfcore_custom.config").write_text("profiles { site { params.outdir = 'late' } }\n")
    options = {"-c": ["late.config"], "-profile": ["site", "--custom_config_base", tmp_path]}[place]
    command = [project / "efnst", "run", "--input", sheet, place, *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    said = "found params.outdir = `late` in a configuration, which is read too late. Give --outdir late."
    assert said in words(done.stdout + done.stderr)
    assert list(tmp_path.rglob("multiqc_report.html")) == []


@pytest.mark.parametrize("outdir", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_refused(
    efnst: Efnst,  # noqa: F811
    sheet: Path,
    tmp_path: Path,
    outdir: str,
) -> None:
    (tmp_path / "file").touch()
    run = efnst(tmp_path, "--input", sheet, outdir=outdir)
    assert run.status == 1
    found = f"found {outdir} (Not a directory). Give another folder"
    assert f"efnst: Expected --outdir to name a folder that can be written to, {found}" in run.output
    assert {path.name for path in tmp_path.iterdir()} == {"file", "sheet.csv"}


@pytest.mark.parametrize(
    ("earlier", "said"),
    [
        ('{"exports": "all", "scope": "cohort"}', "made with --scope cohort, --exports spatialdata; this run leaves"),
        ('{"exports": "lou', ""),
        ("", ""),
    ],
)
def test_what_an_earlier_run_left_is_said(
    efnst: Efnst,  # noqa: F811
    sheet: Path,
    tmp_path: Path,
    earlier: str,
    said: str,
) -> None:
    """A damaged record is replaced."""
    record = tmp_path / "results" / "pipeline_info" / "parameters.json"
    record.parent.mkdir(parents=True)
    record.write_text(earlier)
    run = efnst(tmp_path, "-stub-run", "--input", sheet)
    assert run.status == 0, run.output
    assert said in words(run.output) and ("an earlier run" in run.output) == bool(said)
    assert '"seed"' in record.read_text()


def test_a_run_holds_its_folder_to_its_end(project: Path, sheet: Path, tmp_path: Path) -> None:  # noqa: F811
    command = [project / "efnst", "run", "--input", sheet, "--outdir", "results"]
    info, held = tmp_path / "results" / "pipeline_info", set()
    with (tmp_path / "output").open("w") as output:
        run = subprocess.Popen(command, cwd=tmp_path, stdout=output, stderr=subprocess.STDOUT)
        while run.poll() is None:
            held |= {name for name in LOCKS if locked(info / name)}
    assert run.returncode == 0, (tmp_path / "output").read_text()
    assert held == set(LOCKS) and not any(locked(info / name) for name in LOCKS)


@pytest.fixture(params=["150k", "2400k"], ids=["results", "reports of Nextflow"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system that has no room for the results, or none for what Nextflow writes in the end."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", folder]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this machine does not let us mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_folder_of_results_is_no_success(
    efnst: Efnst,  # noqa: F811
    small_disk: Path,
    sheet: Path,
    tmp_path: Path,
) -> None:
    run = efnst(tmp_path, "--input", sheet, outdir=str(small_disk / "results"))
    assert run.status != 0
    assert "No space left on device" in run.output
