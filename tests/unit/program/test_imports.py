"""versions.yml has the packages that a program imports, and each process asks for those of its own program."""

import re
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from tests.support.places import BIN, PROJECT

from efnst.program.imports import OTHERWISE_CALLED, packages_of

pytestmark = pytest.mark.slow  # each program is read with all that it imports

PROCESSES = sorted(
    path for path in (PROJECT / "modules" / "local").glob("*/main.nf") if "'versions.yml'" in path.read_text()
)
BESIDE = {"huggingface_hub", "timm", "torchvision"}  # of requirements/encoders.txt, for `./efnst encoder export` alone


def test_packages_are_found_through_the_library_but_not_for_types(tmp_path: Path) -> None:
    (tmp_path / "efnst" / "room").mkdir(parents=True)
    (tmp_path / "efnst" / "room" / "near.py").write_text(
        "import json\nfrom efnst.room.far import g\nimport numpy as np\n"
    )
    (tmp_path / "efnst" / "room" / "far.py").write_text("def g():\n    from sklearn.metrics import pairwise\n")
    (tmp_path / "efnst" / "room" / "apart.py").write_text("import scanpy\n")
    (tmp_path / "step.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas\n"
        "def main():\n    from efnst.room.near import f\n    import PIL.Image, no_such_package\n"
    )
    assert packages_of(tmp_path / "step.py") == ["no_such_package", "numpy", "pillow", "scikit-learn"]


@pytest.mark.parametrize("program", sorted(BIN.glob("*.py")), ids=lambda path: path.stem)
def test_every_package_of_a_program_has_a_version(program: Path) -> None:
    packages = set(packages_of(program)) - BESIDE
    assert "typer" in packages and all(version(name) for name in packages)


def test_known_packages() -> None:
    assert {"leidenalg", "igraph", "scikit-learn", "anndata"} <= set(packages_of(BIN / "assign_domains.py"))
    assert "scanpy" in packages_of(BIN / "describe_domains.py")
    assert not {"torch", "scanpy"} & set(packages_of(BIN / "read_section.py"))


@pytest.mark.parametrize("process", PROCESSES, ids=lambda path: path.parent.name)
def test_each_process_tells_the_packages_of_the_program_it_runs(process: Path) -> None:
    script = process.read_text().split("script:")[1].split("stub:")[0]
    ran = set(re.findall(r"^\s*(\w+\.py) ", script, re.MULTILINE))
    told = set(re.findall(r"^    (\w+\.py) --process '\$\{task\.process\}' ", script, re.MULTILINE))
    multiqc = "write_versions.py '${task.process}' multiqc > versions.yml" in script
    assert ran == ({"write_versions.py"} if multiqc else told) and len(ran) == 1


def test_modules_that_are_called_otherwise_than_their_distribution() -> None:
    installed = packages_distributions()
    assert {module: installed[module] for module in OTHERWISE_CALLED} == {
        module: [name] for module, name in OTHERWISE_CALLED.items()
    }
