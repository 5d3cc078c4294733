"""Each process names the right program, and its digest covers every module that the program imports."""

import ast
import re
import shutil
import subprocess
from hashlib import md5
from pathlib import Path

import pytest
from tests.support.places import BIN, PROJECT

MODULES = sorted((PROJECT / "modules" / "local").glob("*/main.nf"))
PROGRAMS = sorted(path.name for path in BIN.glob("*.py"))
SCRIPT = """
include { codeDigest } from './modules/local/digests'

workflow {
    file("${projectDir}/bin/*.py").each { program -> println("digest ${program.name} ${codeDigest(program.name)}") }
}
"""


def imported(path: Path) -> set[Path]:
    """Files of the library that one file imports, in whatever form and wherever it does."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "efnst" if node.level else ""
            module = ".".join(part for part in (module, node.module) if part)
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("efnst."):
            names.add(node.value)  # importlib.import_module("efnst.…")
    return {file for name in names for file in sources(name)}


def sources(name: str) -> set[Path]:
    """The file of a dotted name, if it is a module of the library, and the `__init__.py` of each package it lies in."""
    parts = name.split(".")
    packages = {BIN.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)}
    files = packages | {BIN.joinpath(*parts).with_suffix(".py")} if parts[0] == "efnst" else set()
    return {file for file in files if file.exists()}


def expected_digest(program: str, folder: Path) -> str:
    """The digest that modules/local/digests.nf should find for a program in `folder`/bin."""
    found, open_files = {BIN / "efnst" / "__init__.py"}, {BIN / program}
    while open_files:
        found |= open_files
        open_files = set().union(*(imported(file) for file in open_files)) - found
    paths = sorted(str(folder / path.relative_to(PROJECT)) for path in found)
    return md5("\0".join(Path(path).read_text() for path in paths).encode()).hexdigest()[:16]


@pytest.fixture(scope="module")
def digests(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with our bin/, and what Nextflow says are the digests of its programs."""
    folder = tmp_path_factory.mktemp("digests")
    shutil.copytree(BIN, folder / "bin", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PROJECT / "modules", folder / "modules")
    (folder / "main.nf").write_text(SCRIPT)
    command = [PROJECT / "efnst", "nextflow", "run", "main.nf"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder, dict(re.findall(r"^digest (\S+) (\w+)$", ended.stdout, re.MULTILINE))


def test_digest_covers_every_import_of_every_program(digests: tuple[Path, dict[str, str]]) -> None:
    folder, found = digests
    assert found == {program: expected_digest(program, folder) for program in PROGRAMS}
    assert len(set(found.values())) == len(PROGRAMS)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.parent.name)
def test_each_process_has_the_digest_of_the_program_it_runs(module: Path) -> None:
    text = module.read_text()
    script = text.split("script:")[1].split("stub:")[0]
    programs = set(re.findall(r"^\s*(\w+\.py) ", script, re.MULTILINE)) - {"write_versions.py"}
    assert set(re.findall(r"^ *ext code: \{ codeDigest\('(\S+)'\) \}(?:, .*)?$", text, re.MULTILINE)) == programs
    assert len(programs) == script.count("# code ${task.ext.code}")
    assert programs <= set(PROGRAMS)
    assert len(programs) == 1 or module.parent.name == "multiqc"
