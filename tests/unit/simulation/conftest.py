"""Simulated Space Ranger folders that several tests read."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from efnst.simulation.space_ranger import SMALL, simulate_section, write_section


@pytest.fixture(scope="session")
def cohort(simulated_folder: Callable[[int], Path]) -> Path:
    """Folder with sim_layers, sim_nested and sim_mixed, not to be changed."""
    folders = [simulated_folder(number) for number in range(3)]
    return folders[0].parent


@pytest.fixture
def outs(cohort: Path, tmp_path: Path) -> Path:
    """A copy of sim_layers that a test may break."""
    return shutil.copytree(cohort / "sim_layers" / "outs", tmp_path / "outs")


@pytest.fixture(scope="session")
def as_mtx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sim_layers with its matrix as a folder, not to be changed."""
    folder = tmp_path_factory.mktemp("mtx") / "sim_layers"
    write_section(simulate_section(0, 0, SMALL), folder, matrix="mtx")
    return folder
