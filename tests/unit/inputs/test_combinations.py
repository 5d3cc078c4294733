"""Parameters that contradict each other."""

import pytest
from tests.support.places import PROJECT

from efnst.inputs.combinations import combination_problems, group_warnings
from efnst.program.parameters import defaults, read_schema

USUAL = defaults(read_schema(PROJECT / "nextflow_schema.json"))
LABELLED, BARE = [{"labels": ""}, {"labels": "/a.csv"}], [{"labels": ""}]


def problems(rows: list[dict], **given: object) -> list[str]:
    return combination_problems(USUAL | given, USUAL, rows)


@pytest.mark.parametrize(
    ("given", "rows", "said"),
    [
        ({"scope": "cohort", "clustering": "leiden"}, BARE, 'found "leiden" with --scope cohort, expected mixture'),
        (
            {"scope": "cohort", "expression_rep": "X_a"},
            BARE,
            'found "X_a" with --scope cohort, expected --scope section',
        ),
        ({"scope": "cohort", "learn_labels": True}, BARE, "found true and no section with labels, expected a file"),
        ({"learn_labels": True}, LABELLED, "found true with --scope section, expected --scope cohort"),
        *(
            ({"cleanup": True, "publish_dir_mode": mode} | way, BARE, f'found "{mode}" with --cleanup, which removes')
            for mode in ("symlink", "rellink")
            for way in ({}, {"reference": "r"}, {"scope": "cohort"})
        ),
    ],
)
def test_what_does_not_go_together_is_one_problem(given: dict, rows: list[dict], said: str) -> None:
    found = problems(rows, **given)
    assert len(found) == 1 and said in found[0]


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        ({}, BARE),
        ({"n_domains": 3, "clustering": "leiden", "expression_rep": "X_a"}, BARE),
        ({"scope": "cohort", "clustering": "mixture", "n_domains": 3, "correct_by": "none"}, BARE),
        ({"scope": "cohort", "learn_labels": True}, LABELLED),
        ({"scope": "cohort", "learn_labels": True}, []),  # the samplesheet has problems of its own
        ({"reference": "r", "correct_by": "group", "epochs": 3, "refinement_rounds": 1}, BARE),
        ({"cleanup": True, "publish_dir_mode": "link"}, BARE),
        ({"publish_dir_mode": "symlink"}, BARE),
    ],
)
def test_what_goes_together_is_no_problem(given: dict, rows: list[dict]) -> None:
    assert problems(rows, **given) == []


@pytest.mark.parametrize(
    ("given", "groups", "warned"),
    [
        ({"scope": "cohort"}, ["P1", "P1"], True),
        ({"scope": "cohort"}, ["P1", ""], False),  # the second is a group of its own
        ({"scope": "cohort"}, ["P1"], False),
        ({"scope": "cohort", "correct_by": "none"}, ["P1", "P1"], False),
        ({"scope": "cohort", "reference": "r"}, ["P1", "P1"], False),
        ({}, ["P1", "P1"], False),
    ],
)
def test_one_group_in_a_cohort_is_a_warning(given: dict, groups: list[str], warned: bool) -> None:
    rows = [{"id": f"S{number}", "group": group} for number, group in enumerate(groups)]
    found = group_warnings(USUAL | given, rows)
    assert len(found) == warned and all('one group, "P1", for all 2 sections: no' in line for line in found)
