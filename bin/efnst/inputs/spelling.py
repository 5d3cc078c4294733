"""Names that differ in what is likely a matter of spelling."""

import re
from collections.abc import Iterable

DIFFERENCES = "case, spaces, - and _"


def bare(name: str) -> str:
    """A name without what is likely a matter of spelling."""
    return re.sub(r"[\s_-]+", " ", name.casefold())


def spelt_alike(names: Iterable[str]) -> list[list[str]]:
    """The names that differ in `DIFFERENCES` only, together and in order; those that differ from all are left out."""
    found = {}
    for name in sorted(set(names)):
        found.setdefault(bare(name), []).append(name)
    return [alike for alike in found.values() if len(alike) > 1]
