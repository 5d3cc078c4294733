"""What a report asks to cite stands in CITATIONS.md and CITATION.cff as well, under the same name and title."""

import pytest
import yaml
from tests.support.places import PROJECT

from efnst.provenance.citations import CITATIONS

LISTED = " ".join((PROJECT / "CITATIONS.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize("name", CITATIONS)
def test_what_a_report_cites_is_listed(name: str) -> None:
    entry = LISTED.partition(f"- **{name}**")[2].partition("- **")[0]
    title = CITATIONS[name].split(". ")[1]
    assert title.casefold() in entry.casefold()


def test_the_method_is_the_preferred_citation() -> None:
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["preferred-citation"]["title"] in CITATIONS["EfNST"]
    assert citation["preferred-citation"]["doi"] in LISTED
    assert "version" not in citation, "the version stands in nextflow.config alone"
