"""What libraries import where they find it, and programs do without."""

import subprocess
import sys

import pytest
from tests.support.places import BIN

from efnst.program.spared import spared

TRAINED = """
import sys
import torch
from efnst.embedding.adam import Adam
from efnst.embedding.reproducible import reproducible_torch
weight = torch.ones(3, requires_grad=True)
with reproducible_torch(1, 0):
    optimiser = Adam([weight], 0.1, 0.0)
    (weight**2).sum().backward()
    optimiser.step()
print("torch._dynamo" in sys.modules, "torch._inductor" in sys.modules)
"""
READ = """
import sys
from efnst.program.cli import run
def main() -> None:
    import anndata
    print("dask" in sys.modules and sys.modules["dask"] is not None)
run(main)
"""


def imported(script: str) -> str:
    """What a script prints, run as a program of bin/."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(BIN)!r})\n{script}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_packages_are_found_again_afterwards() -> None:
    assert "this" not in sys.modules
    with spared("this", "json"):
        import json  # noqa: F401 # which is loaded: it stays

        with pytest.raises(ImportError):
            import this  # noqa: F401
    assert "this" not in sys.modules


@pytest.mark.slow
@pytest.mark.parametrize(("script", "found"), [(TRAINED, "False False"), (READ, "False")])
def test_start_up_does_without(script: str, found: str) -> None:
    assert imported(script) == found
