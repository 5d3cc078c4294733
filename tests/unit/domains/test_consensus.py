"""The consensus of several partitions, worked out by hand."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from efnst.domains.consensus import adjusted_rand, agreement, consensus, match


def test_partitions_that_differ_in_names_only_agree_fully() -> None:
    partitions = np.array([[0, 0, 1, 1, 2], [2, 2, 0, 0, 1], [1, 1, 2, 2, 0]])
    labels, votes = consensus(partitions)
    assert labels.tolist() == [0, 0, 1, 1, 2]
    assert np.array_equal(votes, np.eye(3)[labels])


@pytest.mark.parametrize(("n_first", "n_second"), [(1, 1), (1, 4), (3, 3), (9, 2)])
def test_the_rand_index_is_that_of_scikit_learn(n_first: int, n_second: int) -> None:
    rng = np.random.default_rng(n_first)
    first = rng.integers(n_first, size=200).astype(np.int8) - 1
    second = np.where(rng.random(200) < 0.5, first % n_second, rng.integers(n_second, size=200))
    assert adjusted_rand(first, second) == pytest.approx(adjusted_rand_score(first, second))
    assert adjusted_rand(first, first) == 1


def test_two_against_one() -> None:
    """Spot 2 is with the first pair in two runs and with the second pair in one."""
    partitions = np.array([[0, 0, 0, 1, 1], [1, 1, 1, 0, 0], [0, 0, 1, 1, 1]])
    labels, votes = consensus(partitions)
    assert labels.tolist() == [0, 0, 0, 1, 1]
    assert votes[:, 0] == pytest.approx([1, 1, 2 / 3, 0, 0]) and votes.sum(1) == pytest.approx(1)


def test_an_odd_run_among_equal_ones_is_outvoted() -> None:
    usual, odd = np.repeat([0, 1, 2], 10), np.tile([0, 1, 2], 10)
    labels, votes = consensus(np.stack([odd, usual, (usual + 1) % 3]))
    assert labels.tolist() == usual.tolist()
    assert votes[np.arange(30), labels].min() == pytest.approx(2 / 3)


def test_numbers_are_those_of_the_run_that_agrees_best() -> None:
    """Matched to the first run, which agrees with the others least, the two domains would change their numbers."""
    odd, usual = [1, 1, 0, 0, 0, 1], [0, 0, 0, 1, 1, 1]
    assert match(np.array(usual), np.array(odd)).tolist() == [1, 1, 1, 0, 0, 0]
    assert consensus(np.array([odd, usual, usual]))[0].tolist() == usual


def test_a_single_run_is_its_own_consensus() -> None:
    labels, votes = consensus(np.array([[1, 0, 0, 2]]))
    assert labels.tolist() == [1, 0, 0, 2] and np.array_equal(votes, np.eye(3)[labels])


def test_runs_with_different_numbers_of_domains() -> None:
    labels, votes = consensus(np.array([[0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2]]))
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert votes[np.arange(6), labels] == pytest.approx([1, 1, 1, 1, 2 / 3, 2 / 3])


def test_match_by_hand() -> None:
    assert match(np.array([2, 2, 0, 1]), np.array([0, 0, 1, 2])).tolist() == [0, 0, 1, 2]
    assert match(np.array([0, 0, 0, 1]), np.array([1, 1, 0, 0])).tolist() == [1, 1, 1, 0]


def test_agreement_of_pairs() -> None:
    """Equal: 1. [0,0,1,1] against [0,1,0,1]: no pair together in both (0), expected 2·2/6, so (0 - 2/3) / (2 - 2/3)."""
    found = agreement(np.array([[0, 0, 1, 1], [1, 1, 0, 0], [0, 1, 0, 1]]))
    assert found == pytest.approx([1.0, -0.5, -0.5])


def test_runs_count_by_their_weights_and_little_weight_decides_ties() -> None:
    runs = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1]])
    labels, votes = consensus(runs, np.array([1, 1, 1, 0.5]))
    assert labels.tolist() == [0, 0, 1, 1] and votes[1].tolist() == pytest.approx([2 / 3.5, 1.5 / 3.5])
    tied = np.vstack([runs, runs[2]])
    assert consensus(tied, np.array([1, 1, 1, 1, 0.01]))[0].tolist() == [0, 1, 1, 1]
