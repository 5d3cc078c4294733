"""Packages that libraries import where they find them, and that a program spares: half a second each of every step.

A small section takes a step little longer than its imports.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

BY_ANNDATA = ("dask", "xarray")  # for arrays larger than memory; efnst reads those by blocks itself


@contextmanager
def spared(*packages: str) -> Iterator[None]:
    """Within it, those of `packages` that are not loaded yet are not found."""
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        needed(*hidden)


def needed(*packages: str) -> None:
    """From here on `packages` are found again."""
    for name in packages:
        if name in sys.modules and sys.modules[name] is None:
            del sys.modules[name]
