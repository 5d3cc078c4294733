"""The rooms of the library have an order: no module imports from a later one, and none itself through others."""

import re
from graphlib import TopologicalSorter

import pytest
from tests.support.places import BIN

ROOMS = (
    *(
        "names",
        "pairing",
        "palette",
        "machine",
        "errors",
        "records",
        "program",
        "geometry",
        "image",
        "inputs",
        "quality",
    ),
    *("encoder", "genes", "embedding", "domains", "statistics", "provenance", "exports", "reports", "simulation"),
)
FILES = sorted(path for path in (BIN / "efnst").rglob("*.py") if path.name != "__init__.py")
IMPORTS = {
    ".".join(path.relative_to(BIN).with_suffix("").parts): set(
        re.findall(r"^\s*from (efnst\.[\w.]+) import ", path.read_text(), re.MULTILINE)
    )
    for path in FILES
}


def place(module: str) -> int:
    """Where the room of a module stands in the order."""
    return ROOMS.index(module.split(".")[1])


@pytest.mark.parametrize("module", [name for name in IMPORTS if "simulated_" not in name])
def test_no_module_imports_from_a_later_room(module: str) -> None:
    assert not [name for name in IMPORTS[module] if place(name) > place(module)]


def test_no_module_imports_itself_through_others() -> None:
    assert len(list(TopologicalSorter(IMPORTS).static_order())) == len(IMPORTS)
