"""`./efnst lint` finds nothing in the project, and each of its linters does find what is wrong elsewhere."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support.places import PROJECT


def _lint(project: Path) -> subprocess.CompletedProcess[str]:
    """Run `./efnst lint`; skip where its jars cannot be fetched, except on CI, where they can."""
    result = subprocess.run([project / "efnst", "lint"], capture_output=True, text=True)
    if "could not fetch" in result.stderr and not os.environ.get("CI"):
        pytest.skip("the jars of `nextflow lint` cannot be fetched here:\n" + result.stderr)
    return result


@pytest.fixture
def small_project(tmp_path: Path) -> Path:
    """A project of little more than our launcher."""
    for folder in ("requirements", "tools"):
        shutil.copytree(PROJECT / folder, tmp_path / folder)
    (tmp_path / "bin").mkdir()
    (tmp_path / "nextflow.config").write_text("manifest {\n    version = '0.0.0'\n}\n")
    for name in ("efnst", "pyproject.toml", ".oxlintrc.json", ".shellcheckrc"):
        shutil.copy(PROJECT / name, tmp_path)
    return tmp_path


def _write_report(project: Path) -> None:
    """A report whose script and template break a rule of each kind."""
    folder = project / "assets" / "section_report"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text('<script>\n{% include "page.js" %}\n</script>\n<button>Go</button>\n')
    lines = "".join(f"  alert({number});\n" for number in range(70))
    (folder / "page.js").write_text(f"function long() {{\n{lines}}}\nlong();\nmissing();\n")
    (folder / "wide.html").write_text("<p>" + 118 * "x" + "</p>\n")


@pytest.mark.slow
def test_project_is_clean() -> None:
    result = _lint(PROJECT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "had no errors" in result.stdout


def test_lines_of_nextflow_have_at_most_120_columns() -> None:
    """Which no linter looks at."""
    files = [PROJECT / "main.nf", PROJECT / "nextflow.config"]
    files += [*(PROJECT / "conf").glob("*.config"), *(PROJECT / "modules").rglob("*.nf")]
    long = [
        f"{path}:{n}" for path in files for n, line in enumerate(path.read_text().split("\n"), 1) if len(line) > 120
    ]
    assert long == []


@pytest.mark.slow
def test_each_checker_finds_what_it_is_there_for(small_project: Path) -> None:
    (small_project / "main.nf").write_text("workflow {\n    for (i in [1]) { println i }\n}\n")
    (small_project / "bin" / "unused.py").write_text("import os\n")
    (small_project / "bin" / "unformatted.py").write_text("x = [ 1 ]\n")
    (small_project / "tools" / "unquoted.sh").write_text("#!/bin/bash\nrm $1\n")
    _write_report(small_project)
    result = _lint(small_project)
    assert result.returncode == 1
    assert "main.nf:2:5: `for` loops are no longer supported" in result.stdout
    assert "F401" in result.stdout
    assert "1 file would be reformatted" in result.stdout
    assert "SC2086" in result.stdout
    assert "'missing' is not defined" in result.stdout
    assert "The function `long` has too many lines (72). Maximum allowed is 60" in result.stdout
    assert "H043" in result.stdout  # a button without a type
    assert "wide.html:1:" in result.stdout
