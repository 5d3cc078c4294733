"""Agreement with labels against numbers worked out by hand.

The example: six scored spots, and two spots that must not count, one without a label and one with an ignored one.

              a  b
    domain 1  3  1
    domain 2  0  2
"""

import json
from math import log

import numpy as np
import pandas as pd
import pytest

from efnst.domains.naming import UNKNOWN
from efnst.domains.scores import best_matches, confusion, label_scores, labelled_spots, scored_spots

DOMAINS = np.array([1, 1, 1, 1, 2, 2, 2, 1])
LABELS = pd.Series(["a", "a", "a", "b", "b", "b", None, "undetermined"])
IGNORE = ["undetermined"]

# Entropies in nats. Labels are 3 : 3, domains are 4 : 2.
H_LABELS = log(2)
H_DOMAINS = log(3) - 2 / 3 * log(2)
# Σ n/6 · log(6 n / (row · column)) = 3/6 log(18/12) + 1/6 log(6/12) + 2/6 log(12/6).
MUTUAL_INFORMATION = log(3) / 2 - log(2) / 3

UNLABELLED = pd.Series([None] * 8, dtype=object)


@pytest.fixture
def scores() -> dict[str, float]:
    return label_scores(DOMAINS, LABELS, IGNORE)


def test_ari_by_hand(scores: dict[str, float]) -> None:
    # Of 15 pairs of spots 3 + 0 + 0 + 1 = 4 are together in both, 3 + 3 = 6 in labels, 6 + 1 = 7 in domains.
    # Expected 6 · 7 / 15 = 2.8, at most (6 + 7) / 2 = 6.5: ARI = (4 - 2.8) / (6.5 - 2.8).
    assert scores["ari"] == pytest.approx(12 / 37)


def test_ami_by_hand(scores: dict[str, float]) -> None:
    # Domain 2 is 2 of the 6 spots, 3 of which are a. By chance it has 0, 1 or 2 of them in 3, 9 or 3 of 15 ways. With 0
    # or 2 the mutual information is that of the example (a and b may change places), with 1 it is 0: 6/15 is expected.
    # AMI = (0.31826 - 0.12730) / (0.66483 - 0.12730) = 0.19095 / 0.53753.
    expected = 6 / 15 * MUTUAL_INFORMATION
    assert scores["ami"] == pytest.approx((MUTUAL_INFORMATION - expected) / ((H_LABELS + H_DOMAINS) / 2 - expected))
    assert scores["ami"] == pytest.approx(0.3552, abs=5e-5)


def test_nmi_by_hand(scores: dict[str, float]) -> None:
    # 0.3183 / ((0.6931 + 0.6365) / 2)
    assert scores["nmi"] == pytest.approx(2 * MUTUAL_INFORMATION / (H_LABELS + H_DOMAINS))
    assert scores["nmi"] == pytest.approx(0.4787, abs=5e-5)


def test_homogeneity_by_hand(scores: dict[str, float]) -> None:
    # Inside domain 1 (4 of 6 spots) labels are 3 : 1, inside domain 2 all are b: H(labels | domains) = 4/6 · 0.5623.
    inside = 4 / 6 * -(3 / 4 * log(3 / 4) + 1 / 4 * log(1 / 4))
    assert scores["homogeneity"] == pytest.approx(1 - inside / H_LABELS)
    assert scores["homogeneity"] == pytest.approx(0.4591, abs=5e-5)


def test_completeness_by_hand(scores: dict[str, float]) -> None:
    # All a lie in domain 1. The b, half of the spots, are divided 1 : 2, as all spots are: half of H(domains) is left.
    assert scores["completeness"] == pytest.approx(1 / 2)


def test_v_measure_by_hand(scores: dict[str, float]) -> None:
    # Harmonic mean of 0.4591 and 0.5: 2 · 0.4591 · 0.5 / 0.9591 = 0.4787.
    assert scores["v_measure"] == pytest.approx(0.4787, abs=5e-5)


def test_scores_of_equal_divisions_are_one_whatever_the_names() -> None:
    scores = label_scores(np.array([9, 9, 9, 4, 4, 4, 4, 9]), LABELS, IGNORE)
    assert scores == pytest.approx(dict.fromkeys(["ari", "ami", "nmi", "homogeneity", "completeness", "v_measure"], 1))


def test_scores_of_a_single_domain() -> None:
    # It says nothing about the labels (homogeneity 0) and splits none of them (completeness 1).
    expected = {"ari": 0, "ami": 0, "nmi": 0, "homogeneity": 0, "completeness": 1, "v_measure": 0}
    assert label_scores(np.ones(8, int), LABELS, IGNORE) == pytest.approx(expected, abs=1e-9)


def test_an_even_mixture_has_ari_below_zero_and_no_information() -> None:
    # a b a b in domains 1 1 2 2: no pair is together in both, 2 · 2 / 6 are expected, (0 - 2/3) / (2 - 2/3) = -1/2.
    scores = label_scores(np.array([1, 1, 2, 2]), pd.Series(["a", "b", "a", "b"]), [])
    assert scores["ari"] == pytest.approx(-1 / 2)
    assert scores["nmi"] == pytest.approx(0, abs=1e-9)


def test_ignored_labels_count_unless_they_are_named() -> None:
    # With the ignored spot, domain 1 has 3 a, 1 b, 1 other: 4 of 21 pairs together in both, 6 in labels, 11 in domains;
    # (4 - 22/7) / (17/2 - 22/7) = (6/7) / (75/14).
    assert label_scores(DOMAINS, LABELS, [])["ari"] == pytest.approx(4 / 25)


def test_no_labelled_spot_has_no_scores() -> None:
    assert label_scores(DOMAINS, UNLABELLED, []) == {}
    assert label_scores(DOMAINS, pd.Series(["undetermined", ""] * 4), IGNORE) == {}


def test_scored_spots() -> None:
    labels = pd.Series(["a", None, "", "undetermined", np.nan, "b"])
    assert scored_spots(labels, IGNORE).tolist() == [True, False, False, False, False, True]
    assert scored_spots(labels.astype("category"), IGNORE).tolist() == [True, False, False, False, False, True]


def test_ignored_labels_may_be_spelled_in_any_way() -> None:
    labels = pd.Series(["Not-Sure", "not  sure", "NOT_SURE", "notsure", "a", None, ""])
    for given in (labels, labels.astype("category")):
        assert labelled_spots(given, ["not sure"]).tolist() == [False, False, False, True, True, False, False]
    assert labelled_spots(pd.Series(["Unknown", "UNKNOWN", "unknown", "x"]), [UNKNOWN]).tolist() == [False] * 3 + [True]


def test_a_single_label_is_no_score_but_may_teach() -> None:
    labels = pd.Series(["a", "a", "a", "undetermined", None, "a", "", "a"])
    assert label_scores(DOMAINS, labels, IGNORE) == {} and not scored_spots(labels, IGNORE).any()
    assert labelled_spots(labels, IGNORE).tolist() == [True, True, True, False, False, True, False, True]
    assert label_scores(DOMAINS, labels, []), "the ignored one is the second"


def test_confusion_by_hand() -> None:
    table = confusion(DOMAINS, LABELS, IGNORE)
    assert table.columns.tolist() == ["a", "b"]
    assert table.index.tolist() == [1, 2]
    assert table.to_numpy().tolist() == [[3, 1], [0, 2]]


def test_confusion_of_labels_as_a_section_file_has_them() -> None:
    # A category that no scored spot has is no column; spots go by position, not by the name of the row.
    labels = LABELS.astype("category").cat.add_categories("c").set_axis(list("hgfedcba"))
    pd.testing.assert_frame_equal(confusion(DOMAINS, labels, IGNORE), confusion(DOMAINS, LABELS, IGNORE))


def test_jaccard_by_hand() -> None:
    # a: 3 spots shared with domain 1, 3 + 4 - 3 = 4 in either; none with domain 2.
    # b: 1 shared with domain 1, 3 + 4 - 1 = 6 in either; 2 with domain 2, 3 + 2 - 2 = 3 in either.
    assert best_matches(DOMAINS, LABELS, IGNORE).to_dict("list") == {
        "label": ["a", "b"],
        "domain": [1, 2],
        "jaccard": [pytest.approx(3 / 4), pytest.approx(2 / 3)],
        "n_spots": [3, 3],
    }


def test_best_match_is_by_jaccard_of_the_scored_spots() -> None:
    #              a  b  c  none  ignored
    #    domain 1  4  2  0   0       0
    #    domain 2  0  1  0   1       0
    #    domain 3  0  0  1   0       0
    #    domain 4  0  0  1   0       0
    #    domain 5  0  0  0   0       1
    domains = np.array([4, 1, 1, 1, 1, 1, 1, 2, 2, 3, 5])
    labels = pd.Series(["c", "a", "a", "a", "a", "b", "b", "b", "", "c", "undetermined"])
    assert confusion(domains, labels, IGNORE).to_numpy().tolist() == [
        [4, 2, 0],
        [0, 1, 0],
        [0, 0, 1],
        [0, 0, 1],
        [0, 0, 0],
    ]
    # a: 4 / 6. b: domain 1 has 2 of it, 2 / (3 + 6 - 2) = 2/7; domain 2 has 1, 1 / (3 + 1 - 1) = 1/3, and would have
    # 1/4 if the spot without label counted. c: 1/2 with domains 3 and 4, the first is taken.
    matches = best_matches(domains, labels, IGNORE).set_index("label")
    assert matches["domain"].to_dict() == {"a": 1, "b": 2, "c": 3}
    assert matches["jaccard"].to_dict() == pytest.approx({"a": 2 / 3, "b": 1 / 3, "c": 1 / 2})
    assert matches["n_spots"].to_dict() == {"a": 4, "b": 3, "c": 2}


def test_two_labels_may_share_a_domain() -> None:
    matches = best_matches(np.ones(8, int), LABELS, IGNORE)
    assert matches["domain"].tolist() == [1, 1]
    assert matches["jaccard"].tolist() == [1 / 2, 1 / 2]


def test_without_labels_the_tables_are_empty() -> None:
    assert confusion(DOMAINS, UNLABELLED, []).shape == (2, 0)
    matches = best_matches(DOMAINS, UNLABELLED, [])
    assert matches.columns.tolist() == ["label", "domain", "jaccard", "n_spots"]
    assert len(matches) == 0


def test_tables_become_json() -> None:
    matches = best_matches(DOMAINS, LABELS, IGNORE).to_dict("records")
    assert json.loads(json.dumps(matches))[1] == {"label": "b", "domain": 2, "jaccard": 2 / 3, "n_spots": 3}
    table = confusion(DOMAINS, LABELS, IGNORE).to_dict("split")
    assert json.loads(json.dumps(table)) == {"index": [1, 2], "columns": ["a", "b"], "data": [[3, 1], [0, 2]]}
