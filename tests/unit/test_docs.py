"""What the documentation names by its path is there."""

import re

import pytest
from tests.support.places import PROJECT

ROOTS = ("", "bin", "bin/efnst")  # which paths in the text start from
EXAMPLE = "borders"  # the step that CONTRIBUTING.md makes up


@pytest.mark.parametrize("path", [*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")], ids=lambda path: path.name)
def test_programs_and_modules_that_are_named_exist(path: object) -> None:
    names = set(re.findall(r"`([\w]+/[\w/]+\.(?:py|nf|config))`", path.read_text()))
    missing = [name for name in names if not any((PROJECT / root / name).exists() for root in ROOTS)]
    assert [name for name in missing if EXAMPLE not in name] == []
