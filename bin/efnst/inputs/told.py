"""What errors call things: what the user gave, not what is unpacked or arranged of it, which nobody sees."""

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from efnst.errors import EfnstError

GIVEN: dict[Path, tuple[Path, bool]] = {}  # by what was made in the scratch folder, and whether its name stands for it


def tell_as(made: Path, given: Path, is_named: bool = True) -> None:
    """Remember that a file or folder, and what is below it, stands for one that was `given`, or was made before.

    `is_named`: so does its name alone.
    """
    GIVEN[made] = given, is_named


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Errors speak of what lies at `path`, as the user gave it, where they would of what was made of it."""
    try:
        yield
    except EfnstError as error:
        error.args = (_as_given(str(error), path),)
        raise


def _as_given(text: str, path: Path) -> str:
    """A message with whole paths, and names of what was made of `path`, as the user knows them."""
    names = defaultdict(set)
    for made in sorted(GIVEN, key=lambda made: len(made.parts), reverse=True):
        given = _given(made)
        text = text.replace(str(made), str(given))
        if GIVEN[made][1] and given.is_relative_to(path):
            names[made.name].add(given.name)
    for name, of in names.items():
        if len(of) == 1:  # of several samples in one folder no name is told
            text = re.sub(rf"(?<![\w./-]){re.escape(name)}(?![\w-]|\.\w)", lambda _, of=of: min(of), text)
    return text


def _given(made: Path) -> Path:
    """What a path stands for, through all that was made on the way."""
    for parent in (made, *made.parents):
        if parent in GIVEN:
            return _given(GIVEN[parent][0] / made.relative_to(parent))
    return made
