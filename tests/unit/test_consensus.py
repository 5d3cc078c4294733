"""The consensus of several partitions, worked out by hand."""

import numpy as np
import pytest

from efnst.consensus import agreement, consensus, match


def test_partitions_that_differ_in_names_only_agree_fully() -> None:
    partitions = np.array([[0, 0, 1, 1, 2], [2, 2, 0, 0, 1], [1, 1, 2, 2, 0]])
    labels, share = consensus(partitions)
    assert labels.tolist() == [0, 0, 1, 1, 2] and share.tolist() == [1.0] * 5


def test_two_against_one() -> None:
    """Spot 2 is with the first pair in two runs and with the second pair in one."""
    partitions = np.array([[0, 0, 0, 1, 1], [1, 1, 1, 0, 0], [0, 0, 1, 1, 1]])
    labels, share = consensus(partitions)
    assert labels.tolist() == [0, 0, 0, 1, 1]
    assert share == pytest.approx([1, 1, 2 / 3, 1, 1])


def test_an_odd_run_among_equal_ones_is_outvoted() -> None:
    usual, odd = np.repeat([0, 1, 2], 10), np.tile([0, 1, 2], 10)
    labels, share = consensus(np.stack([odd, usual, (usual + 1) % 3]))
    assert len({(a, b) for a, b in zip(labels, usual, strict=True)}) == 3
    assert share.min() == pytest.approx(2 / 3)


def test_a_single_run_is_its_own_consensus() -> None:
    labels, share = consensus(np.array([[1, 0, 0, 2]]))
    assert labels.tolist() == [1, 0, 0, 2] and share.tolist() == [1.0] * 4


def test_runs_with_different_numbers_of_domains() -> None:
    labels, share = consensus(np.array([[0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2]]))
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert share == pytest.approx([1, 1, 1, 1, 2 / 3, 2 / 3])


def test_match_by_hand() -> None:
    assert match(np.array([2, 2, 0, 1]), np.array([0, 0, 1, 2])).tolist() == [0, 0, 1, 2]
    assert match(np.array([0, 0, 0, 1]), np.array([1, 1, 0, 0])).tolist() == [1, 1, 1, 0]


def test_agreement_of_pairs() -> None:
    """Equal: 1. [0,0,1,1] against [0,1,0,1]: no pair together in both (0), expected 2·2/6, so (0 - 2/3) / (2 - 2/3)."""
    found = agreement(np.array([[0, 0, 1, 1], [1, 1, 0, 0], [0, 1, 0, 1]]))
    assert found == pytest.approx([1.0, -0.5, -0.5])
