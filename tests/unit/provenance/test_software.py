"""The methods text names no software that the programs do not import."""

import re
from functools import cache
from importlib.metadata import distributions

import pytest
from tests.support.places import BIN

from efnst.program.imports import packages_of
from efnst.provenance.citations import CITATIONS
from efnst.provenance.methods import SENTENCES

pytestmark = pytest.mark.slow

IMPLEMENTED_BY = {"Leiden": "leidenalg", "PAGA": "scanpy", "UMAP": "scanpy"}


@cache
def imported() -> set[str]:
    """The packages of all programs, in lower case."""
    return {name.lower() for program in BIN.glob("*.py") for name in packages_of(program)}


def test_software_in_the_methods_text_and_the_citations_is_imported() -> None:
    installed = {distribution.metadata["Name"].lower() for distribution in distributions()}
    text = " ".join([*(sentence.text for sentence in SENTENCES), *CITATIONS])
    named = {word.lower() for word in re.findall(r"[\w-]+", text)} & installed
    assert "scanpy" in named
    assert named <= imported()


def test_methods_with_an_implementation_of_others_are_imported() -> None:
    assert set(IMPLEMENTED_BY) <= set(CITATIONS)
    assert set(IMPLEMENTED_BY.values()) <= imported()
