"""What several tests of provenance read."""

from pathlib import Path

import pytest
from tests.support.explained import write_results


@pytest.fixture
def outdir(tmp_path: Path) -> Path:
    """The output folder of a run with one section S1 and other than the default values of three parameters."""
    return write_results(tmp_path)
