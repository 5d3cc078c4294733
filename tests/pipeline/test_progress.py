"""How far a run has come, as its log tells it."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.support.places import PROJECT

pytestmark = pytest.mark.slow

NONE = dict.fromkeys(("sections", "failed", "read", "prepared", "learned", "assigned", "described", "done"), 0)
MINUTES = 60_000
SAID = [  # counts, minutes since the start, what is said
    (
        {"sections": 200, "read": 200, "prepared": 60},
        7,
        "0 of 200 sections done, 200 to go (200 read); some 41 min left",
    ),
    (
        {"sections": 200, "failed": 1, "read": 199, "prepared": 199, "learned": 180, "assigned": 37, "done": 37},
        60,
        "37 of 200 sections done, 1 failed, 162 to go (199 read, 180 learned); some 36 min left",
    ),
    (dict.fromkeys(NONE, 3) | {"failed": 0}, 2, "3 of 3 sections done"),
    (dict.fromkeys(NONE, 2) | {"sections": 3, "failed": 1}, 2, "2 of 3 sections done, 1 failed"),
    ({"sections": 2, "failed": 1}, 1, "0 of 2 sections done, 1 failed, 1 to go"),
]
SCRIPT = """
include {{ inWords }} from './modules/local/progress'

workflow {{
    new groovy.json.JsonSlurper().parseText('{given}').each {{ counts, elapsed -> println(inWords(counts, elapsed)) }}
}}
"""


def test_what_is_said(tmp_path: Path) -> None:
    given = [[NONE | counts, minutes * MINUTES] for counts, minutes, _ in SAID]
    for name in ("modules", "bin"):
        (tmp_path / name).symlink_to(PROJECT / name)
    (tmp_path / "main.nf").write_text(SCRIPT.format(given=json.dumps(given)))
    command = [PROJECT / "efnst", "nextflow", "-q", "run", "main.nf"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert found.splitlines() == [f"efnst: {text}" for _, _, text in SAID]
