"""The verdict on a section by a reference."""

import numpy as np
import pytest

from efnst.domains.novelty import judged, novelty_of, without_structure
from efnst.records.reference import ReferenceFit

FIT = ReferenceFit(sample="S", missing_genes=0.05, depth=0.5, structure=0.8, known_batch=True)


@pytest.mark.parametrize(
    ("changed", "verdict", "said"),
    [
        ({}, "pass", []),
        ({"novel": 0.2}, "warn", ["20% of the units are unlike all tissue"]),
        ({"novel": 0.6, "missing_genes": 0.2}, "fail", ["60% of the units", "20% of the genes of the reference"]),
        ({"depth": 0.2}, "warn", ["half of the units have 20% of the counts"]),
        ({"depth": 0.05, "structure": 0.3}, "fail", ["half of the units have 5%", "it has 30% of the structure"]),
        ({"structure": 0.1}, "fail", ["it has 10% of the structure of that one's sections: it is other tissue, or"]),
    ],
)
def test_the_worst_decides_and_all_is_said(changed: dict[str, float], verdict: str, said: list[str]) -> None:
    novel = changed.pop("novel", 0.0)
    found = judged(FIT.changed(**changed), novel)
    assert (found.verdict, found.novel) == (verdict, novel) and len(found.reasons) == len(said)
    assert all(text in reason for text, reason in zip(said, found.reasons, strict=True))


def test_a_section_without_the_structure_is_novel_throughout() -> None:
    """Its units lie amid the domains."""
    p_values = np.array([0.0, 0.5, 1.0])
    assert novelty_of(p_values, FIT).tolist() == [1.0, 0.5, 0.0]
    assert novelty_of(p_values, FIT.changed(structure=0.3)).tolist() == [1.0, 0.5, 0.0]
    assert novelty_of(p_values, FIT.changed(structure=0.1)).tolist() == [1.0, 1.0, 1.0]


def test_sections_of_a_cohort_without_the_structure_of_the_others_are_told() -> None:
    told = without_structure({"a": 10.0, "b": 12.0, "c": 3.0, "d": 11.0})
    assert len(told) == 1 and told[0].startswith("c: its domains may be wrong: ") and " has 29% of the " in told[0]
    assert without_structure({"a": 10.0, "b": 6.0}) == []
