"""Labels that differ in spelling only."""

import numpy as np

from efnst.domains.naming import Taught
from efnst.domains.spellings import one_spelling


def labelled(**sections: list[str]) -> dict[str, Taught]:
    empty = np.zeros((0, 2))
    return {sample: Taught(empty, np.array(labels), np.zeros(0, bool), empty) for sample, labels in sections.items()}


def labels_of(sections: dict[str, Taught]) -> dict[str, list[str]]:
    return {sample: taught.labels.tolist() for sample, taught in sections.items()}


def test_case_spaces_hyphens_and_underscores_are_spelling() -> None:
    found, told = one_spelling(
        labelled(a=["region_1", "white matter", "L1"], b=["Region 1", "White-Matter"], c=["region-1", "L11", "WM"])
    )
    assert labels_of(found) == {
        "a": ["Region 1", "White-Matter", "L1"],
        "b": ["Region 1", "White-Matter"],
        "c": ["Region 1", "L11", "WM"],
    }
    assert told == [
        'labels "Region 1" and "region-1" and "region_1" differ in case, spaces, - and _ only and are one name, '
        '"Region 1"; rename them if they are not',
        'labels "White-Matter" and "white matter" differ in case, spaces, - and _ only and are one name, '
        '"White-Matter"; rename them if they are not',
    ]


def test_spellings_side_by_side_in_a_section_are_different_names() -> None:
    given = labelled(a=["grade Ia", "grade IA"], b=["Grade IA", "stroma"], c=["stroma"])
    found, told = one_spelling(given)
    assert labels_of(found) == labels_of(given)
    assert len(told) == 1 and "are different names, as a section has several of them" in told[0]


def test_what_differs_otherwise_is_left() -> None:
    given = labelled(a=["L1", "CD4-", "x"], b=["L 1", "CD4", "x"])
    found, told = one_spelling(given)
    assert labels_of(found) == labels_of(given) and told == []


def test_sections_without_a_label_in_common_are_told() -> None:
    _, told = one_spelling(labelled(a=["tumour"], b=["stroma"]))
    assert len(told) == 1 and told[0].startswith('no label is in two of the 2 labelled sections ("stroma", "tumour")')
    assert one_spelling(labelled(a=["tumour"]))[1] == one_spelling(labelled(a=["x", "y"], b=["y"]))[1] == []
    assert one_spelling({}) == ({}, [])


def test_many_names_are_not_all_listed() -> None:
    _, told = one_spelling(labelled(a=list("abcd"), b=list("efg")))
    assert '("a", "b", "c", "d", "e", …)' in told[0]
