"""Where the project and the real sections of a developer's machine lie."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
BIN = PROJECT / "bin"
REAL = Path(os.environ.get("EFNST_TEST_DATA", PROJECT.parent / "shared" / "data"))
