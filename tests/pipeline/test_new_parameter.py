"""A new parameter is three edits and a command: schema, field of the options, kernel, `./efnst generate`."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.pipeline.conftest import QUICK, copy_project, launcher_of

pytestmark = pytest.mark.slow

ENTRY = {
    "type": "integer",
    "default": 2,
    "minimum": 2,
    "description": "Genes that a view has at least.",
    "help_text": "A parameter of a test.",
}


def edit(path: Path, old: str, new: str) -> None:
    """Replace what a file holds once."""
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project with a parameter more."""
    project = copy_project(tmp_path / "project", "tools", "docs")
    schema = json.loads((project / "nextflow_schema.json").read_text())
    schema["$defs"]["expression"]["properties"]["least_genes"] = ENTRY
    (project / "nextflow_schema.json").write_text(json.dumps(schema))
    library = project / "bin" / "efnst" / "embedding"
    edit(library / "options.py", "    n_genes: int\n", "    n_genes: int\n    least_genes: int\n")
    edit(library / "views.py", "max(2, round(options.n_genes", "max(options.least_genes, round(options.n_genes")
    made = subprocess.run([project / "efnst", "generate"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return project


def test_it_arrives_in_the_kernel(project: Path, one_section: Path, tmp_path: Path) -> None:
    usage = (project / "docs" / "usage.md").read_text()
    assert "| `--least_genes` | `2` | a whole number, 2 or more | Genes that a view has at least." in usage
    run = launcher_of(project)
    options = (*QUICK, "--input", one_section, "--use_image", "false", "--n_seeds", "4")
    refused = run(tmp_path / "refused", *options, "--least_genes", "1")
    assert "parameter --least_genes: found 1, expected a whole number, 2 or more" in refused.output
    ended = run(tmp_path / "run", *options, "--least_genes", "290")
    assert ended.status == 0, ended.output
    written = [path for path in tmp_path.glob("run/work/*/*/learned/*/training.json") if not path.is_symlink()]
    (record,) = (json.loads(path.read_text()) for path in written)
    assert record["parameters"]["least_genes"] == 290
    genes = {run["n_genes"] for run in record["runs"]}
    assert 290 in genes and genes <= {290, 300}
