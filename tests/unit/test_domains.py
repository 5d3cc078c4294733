"""Clustering, refinement, numbering, continuity and scores against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from efnst.clustering import cluster
from efnst.continuity import chaos, pas
from efnst.domains import by_size, match_numbers
from efnst.refinement import refine
from efnst.scores import label_scores


def grid(rows: int, columns: int) -> np.ndarray:
    """Spots on a square grid, 1 apart."""
    y, x = np.mgrid[:rows, :columns]
    return np.column_stack([x.ravel(), y.ravel()]).astype(float)


def blobs(n_each: int, centres: list[float]) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(len(centres)), n_each)
    return np.array(centres)[truth, None] + random.standard_normal((len(truth), 3)), truth


@pytest.mark.parametrize("method", ["mixture", "kmeans", "leiden"])
def test_every_method_finds_well_separated_groups(method: str) -> None:
    values, truth = blobs(60, [0.0, 20.0, 40.0])
    found = cluster(values, 3, method, seed=0)
    assert len(np.unique(found.labels)) == 3
    assert label_scores(found.labels, pd.Series(truth), [])["ari"] == 1.0


def test_mixture_gives_probabilities_that_sum_to_one() -> None:
    values, _ = blobs(40, [0.0, 4.0])
    found = cluster(values, 2, "mixture", seed=0)
    assert found.probabilities.sum(1) == pytest.approx(1)
    assert (found.probabilities.argmax(1) == found.labels).all()


def test_one_seed_gives_one_result() -> None:
    values = np.random.default_rng(0).standard_normal((200, 4))
    first, second = (cluster(values, 5, "mixture", seed=3).labels for _ in range(2))
    assert (first == second).all()


def test_refinement_takes_the_majority_of_the_neighbours() -> None:
    domains = np.zeros(25, int)
    domains[12] = 1
    assert refine(domains, grid(5, 5), rounds=1).tolist() == [0] * 25
    assert refine(domains, grid(5, 5), rounds=0)[12] == 1


def test_refinement_keeps_a_spot_with_half_of_its_neighbours() -> None:
    positions = np.array([[0, 0], [1, 0], [2, 0], [3, 0], [4, 0], [5, 0], [6, 0]], float)
    domains = np.array([1, 1, 1, 1, 2, 2, 2])
    # Each spot's six neighbours are all others: spots of 1 have 3 of 6 (kept), spots of 2 have 2 of 6 (changed).
    assert refine(domains, positions, rounds=1).tolist() == [1] * 7


def test_by_size_numbers_from_one_by_falling_size_then_first_spot() -> None:
    assert by_size(np.array([7, 3, 3, 9, 7, 3])).tolist() == [2, 1, 1, 3, 2, 1]
    assert by_size(np.array([5, 4, 4, 5])).tolist() == [1, 2, 2, 1]


def test_match_numbers_follows_the_reference() -> None:
    reference = np.array([1, 1, 1, 2, 2, 3])
    assert match_numbers(np.array([2, 2, 2, 0, 0, 1]), reference).tolist() == [1, 1, 1, 2, 2, 3]
    assert sorted(set(match_numbers(np.array([0, 1, 2, 3, 3, 3]), reference))) == [1, 2, 3, 4]


def test_chaos_is_the_scaled_distance_to_the_nearest_of_the_same_domain() -> None:
    positions = np.array([[0, 0], [1, 0], [0, 2], [1, 2]], float)
    x, y = positions.std(0, ddof=1)
    assert chaos(np.array([1, 1, 2, 2]), positions) == pytest.approx(1 / x)
    assert chaos(np.array([1, 2, 1, 2]), positions) == pytest.approx(2 / y)
    assert chaos(np.array([1, 2, 3, 4]), positions) == 0


def test_pas_counts_spots_with_six_of_ten_neighbours_elsewhere() -> None:
    domains = np.zeros(121, int)
    domains[60] = 1
    assert pas(domains, grid(11, 11)) == pytest.approx(1 / 121)


def test_scores_leave_out_spots_without_label_and_ignored_labels() -> None:
    labels = pd.Series(["a", "a", "b", "b", None, "undetermined"])
    domains = np.array([1, 1, 2, 2, 1, 2])
    assert label_scores(domains, labels, ["undetermined"])["ari"] == 1.0
    assert label_scores(domains, labels, [])["ari"] < 1.0
    assert label_scores(domains, pd.Series([None] * 6, dtype=object), []) == {}


def test_scores_by_hand() -> None:
    # Pairs together in both: 1, in labels: 2, in domains: 3 of 6; expected 2·3/6 = 1; ARI = (1 - 1) / (2.5 - 1) = 0.
    scores = label_scores(np.array([1, 1, 1, 2]), pd.Series(["a", "a", "b", "b"]), [])
    assert scores["ari"] == pytest.approx(0.0, abs=1e-9)
    assert set(scores) == {"ari", "ami", "nmi", "homogeneity", "completeness", "v_measure"}
