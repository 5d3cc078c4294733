"""What the documentation names by its path is there."""

import re
from pathlib import Path

import pytest
from tests.support.places import PROJECT

ROOTS = ("", "bin", "bin/efnst")  # which paths in the text start from
PAGES = [*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")]
EXAMPLE = "borders"  # the step that CONTRIBUTING.md makes up


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_programs_and_modules_that_are_named_exist(path: Path) -> None:
    names = set(re.findall(r"`([\w]+/[\w/]+\.(?:py|nf|config))`", path.read_text()))
    missing = [name for name in names if not any((PROJECT / root / name).exists() for root in ROOTS)]
    assert [name for name in missing if EXAMPLE not in name] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_start_as_they_do_in_a_plain_shell(path: Path) -> None:
    """A program by itself finds neither the library nor its packages, and the launcher is on nobody's PATH."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", path.read_text(), re.M | re.S)
    commands = [line for block in blocks for line in block.splitlines()]
    assert [line for line in commands if re.match(r"(bin/\w+\.py|efnst \w+) .*--", line)] == []
