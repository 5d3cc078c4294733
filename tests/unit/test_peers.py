"""The peers of bench/peers.py: locked in a group of their own, and in nothing that is installed or shipped."""

import ast
import re
import tomllib

import pytest
from tests.support.places import PROJECT

LOCK = (PROJECT / "requirements" / "peers.txt").read_text()
GROUPS = tomllib.loads((PROJECT / "pyproject.toml").read_text())["dependency-groups"]
SHIPPED = [PROJECT / "requirements" / "all.txt", *(PROJECT / "containers").glob("*.txt")]


def locked(text: str) -> set[str]:
    """Names of the packages of a lock."""
    return set(re.findall(r"^([a-z0-9_.-]+)(?:\[.*\])?==", text, re.MULTILINE))


def keys(path: str, name: str) -> set[str]:
    """Keys of the dictionary `name` of a file, or what it is made from: `{f.__name__: f for f in (…)}`."""
    tree = ast.parse((PROJECT / path).read_text())
    value = next(n.value for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == name)
    if isinstance(value, ast.Dict):
        return {key.value for key in value.keys}
    return {each.id for each in value.generators[0].iter.elts}


def test_every_package_of_the_group_is_locked() -> None:
    assert len(GROUPS["peers"]) == 6
    assert set(GROUPS["peers"]) <= locked(LOCK)


def test_every_package_has_a_hash_and_none_an_address() -> None:
    packages = re.findall(r"^[a-z0-9_.-]+(?:\[.*\])?==\S+.*\n(    --hash=sha256:[0-9a-f]{64})?", LOCK, re.MULTILINE)
    assert len(packages) > 50 and all(packages)
    assert "://" not in LOCK and "--index" not in LOCK


@pytest.mark.parametrize("lock", SHIPPED, ids=lambda path: path.name)
def test_no_peer_is_installed_with_efnst(lock: object) -> None:
    assert not set(GROUPS["peers"]) & locked(lock.read_text())


def test_no_other_group_has_the_peers() -> None:
    assert not [name for name, group in GROUPS.items() if {"include-group": "peers"} in group]
    assert "peers.txt" not in (PROJECT / "requirements" / "fetch.sh").read_text()


def test_the_table_has_every_method_that_can_be_run() -> None:
    assert keys("bench/peers.py", "PEERS") == keys("bench/peer_methods.py", "METHODS")
