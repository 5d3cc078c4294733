"""Labels of several sections that are one name, spelled in several ways."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from efnst.domains.naming import Taught
from efnst.inputs.spelling import DIFFERENCES, bare, spelt_alike
from efnst.program.parameters import show

SHOWN = 5  # names that a warning lists


def one_spelling(sections: Mapping[str, Taught]) -> tuple[dict[str, Taught], list[str]]:
    """The sections with labels that differ in `DIFFERENCES` only as one, and what the user should know of the labels.

    The first spelling by order of names is taken. Spellings that stand side by side in a section are meant to differ.
    """
    own = {sample: [str(name) for name in np.unique(taught.labels)] for sample, taught in sections.items()}
    several = {bare(names[0]): names for names in spelt_alike(name for names in own.values() for name in names)}
    apart = {key for names in own.values() for key in several if sum(bare(name) == key for name in names) > 1}
    told = [_told(names, key in apart) for key, names in several.items()]
    taken = {name: names[0] for key, names in several.items() if key not in apart for name in names}
    renamed = {
        sample: replace(taught, labels=np.array([taken.get(name, name) for name in map(str, taught.labels)]))
        for sample, taught in sections.items()
    }
    return renamed, told + _nothing_in_common(renamed)


def _told(names: list[str], is_apart: bool) -> str:
    """What is said of the spellings of a name."""
    found = f"labels {' and '.join(map(show, names))} differ in {DIFFERENCES} only"
    if is_apart:
        return f"{found} and are different names, as a section has several of them; spell them alike if they are one"
    return f"{found} and are one name, {show(names[0])}; rename them if they are not"


def _nothing_in_common(sections: Mapping[str, Taught]) -> list[str]:
    """A warning where no label is in two of several labelled sections."""
    names = [set(map(str, taught.labels)) for taught in sections.values()]
    every = sorted(set().union(*names))
    if len(names) < 2 or sum(map(len, names)) > len(every):
        return []
    listed = ", ".join(map(show, every[:SHOWN])) + (", …" if len(every) > SHOWN else "")
    return [
        f"no label is in two of the {len(names)} labelled sections ({listed}), so that none of them can be named "
        "rightly from the others; are labels spelled in different ways?"
    ]
