"""Domains that several sections share."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.support.grids import square

from efnst.domains.candidates import CommonViews
from efnst.domains.distances import RINGS
from efnst.domains.options import DomainOptions
from efnst.domains.saved_vocabulary import load_vocabulary, save_vocabulary
from efnst.domains.vocabulary import Vocabulary, fit_vocabulary
from efnst.errors import EfnstError

CENTRES = np.array([[0.0, 0, 0], [6, 0, 0], [0, 6, 0]])
TURN = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]])  # a second training finds the same in other coordinates


def tissue(kinds: list[int], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """20 × 20 units in bands of these kinds: their kind, places and values."""
    positions = square(20, 20)
    kind = np.array(kinds)[(positions[:, 0] * len(kinds) // 20).astype(int)]
    return kind, positions, CENTRES[kind] + np.random.default_rng(seed).standard_normal((400, 3))


@pytest.fixture(scope="module")
def fitted() -> tuple[Vocabulary, dict[int, int]]:
    """Domains of two sections, of which the second lacks a kind, and the domain of each kind."""
    kinds, places, values = zip(tissue([0, 0, 1, 2], 0), tissue([0, 1], 1), strict=True)
    both = np.concatenate(values)
    options = DomainOptions(n_domains=3)
    vocabulary, choice = fit_vocabulary([both, both @ TURN], places, options)
    assert not choice
    found = domains(vocabulary, values[0], places[0])
    return vocabulary, {kind: int(np.median(found[kinds[0] == kind])) for kind in range(3)}


def domains(vocabulary: Vocabulary, values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    return vocabulary.votes(vocabulary.partitions([values, values @ TURN], positions, 1)).argmax(1)


def test_the_commonest_domain_comes_first(fitted: tuple[Vocabulary, dict[int, int]]) -> None:
    vocabulary, of_kind = fitted
    assert of_kind == {0: 0, 1: 1, 2: 2} and vocabulary.n_domains == 3


def test_a_section_may_lack_a_domain(fitted: tuple[Vocabulary, dict[int, int]]) -> None:
    vocabulary, of_kind = fitted
    kind, positions, values = tissue([1, 2], 5)
    found = domains(vocabulary, values, positions)
    assert set(found) == {of_kind[1], of_kind[2]}
    assert (found == np.vectorize(of_kind.get)(kind)).mean() > 0.98


def test_tissue_that_was_not_there_lies_far_from_all_domains(fitted: tuple[Vocabulary, dict[int, int]]) -> None:
    vocabulary, _ = fitted
    _, positions, values = tissue([0, 1], 6)
    new = positions[:, 0] >= 10
    values[new] += (0, 0, 7)
    p_values = vocabulary.p_values([values, values @ TURN], positions)
    assert (p_values[positions[:, 0] < 10 - RINGS] < 0.01).mean() < 0.05
    assert (p_values[new] < 0.01).mean() > 0.95


def test_a_component_that_has_nothing_of_the_domain_left_for_it_is_none() -> None:
    """The third training halves the first kind, and makes one of the others: a half has nothing of a second domain."""
    positions = square(20, 20)
    kind = (positions[:, 0] // 5).astype(int)
    noise = [np.random.default_rng(seed).standard_normal((400, 3)) for seed in range(3)]
    usual, other = CENTRES[np.array([0, 0, 1, 2])[kind]], CENTRES[np.array([0, 1, 2, 2])[kind]]
    values = [usual + noise[0], usual + noise[1], other + noise[2]]
    vocabulary, _ = fit_vocabulary(values, [positions], DomainOptions(n_domains=3))
    numbers = [mixture.numbers.tolist() for mixture in vocabulary.mixtures]
    assert sorted(numbers[0]) == sorted(numbers[1]) == [0, 1, 2]
    assert sorted(numbers[2]) in ([-1, 0, 1], [-1, 0, 2])
    partitions = vocabulary.partitions(values, positions, 1)
    none = partitions[2] == -1
    assert sorted(none[kind == number].mean().round(1) for number in range(4)) == [0, 0, 0, 1]
    assert np.allclose(vocabulary.votes(partitions).sum(1), np.where(none, 2 / 3, 1))


def test_the_number_is_chosen_where_none_is_given() -> None:
    _, places, values = zip(tissue([0, 1, 2], 0), tissue([0, 1, 2], 1), strict=True)
    both = np.concatenate(values)
    vocabulary, choice = fit_vocabulary([both], places, DomainOptions(max_domains=5))
    assert vocabulary.n_domains == choice["n_domains"] == 3


def test_more_domains_than_units_are_refused() -> None:
    _, positions, values = tissue([0], 0)
    with pytest.raises(EfnstError, match=r"n_domains to be at most the number of spots \(9\), found 10"):
        fit_vocabulary([values[:9]], [positions[:9]], DomainOptions(n_domains=10))


def test_what_is_kept_does_the_same(fitted: tuple[Vocabulary, dict[int, int]], tmp_path: Path) -> None:
    vocabulary, _ = fitted
    save_vocabulary(tmp_path, vocabulary, {})
    again, record = load_vocabulary(tmp_path)
    _, positions, values = tissue([1, 2], 7)
    assert record.n_domains == 3 and record.choice is None
    assert np.array_equal(domains(vocabulary, values, positions), domains(again, values, positions))
    embeddings = [values, values @ TURN]
    assert np.array_equal(vocabulary.p_values(embeddings, positions), again.p_values(embeddings, positions))


def test_the_training_that_agrees_best_in_the_whole_cohort_is_shown_of_every_section(tmp_path: Path) -> None:
    """The second of three: the bands of the others lie two columns to one side and to the other."""
    _, places, values = zip(tissue([0, 1, 2], 0), tissue([0, 1, 2], 1), strict=True)
    both = np.stack(values).reshape(2, 20, 20, 3)
    moved = [np.roll(both, columns, axis=2).reshape(800, 3) for columns in (-2, 0, 2)]
    vocabulary, _ = fit_vocabulary(moved, places, DomainOptions(n_domains=3))
    save_vocabulary(tmp_path, vocabulary, {})
    assert vocabulary.shown == load_vocabulary(tmp_path)[0].shown == 1
    record = json.loads((tmp_path / "vocabulary.json").read_text())
    (tmp_path / "vocabulary.json").write_text(json.dumps(record | {"shown": 3}))
    with pytest.raises(EfnstError, match="Expected one of the 3 trainings, from 0, to be shown in"):
        load_vocabulary(tmp_path)


def test_views_are_the_same_columns_in_every_section_and_kept(tmp_path: Path) -> None:
    kinds, places, values = zip(tissue([0, 0, 1, 2], 0), tissue([2, 1], 1), strict=True)
    how, totals = CommonViews(2.0, 0.5, weigh_by_counts=True), np.full(400, 100)
    arrays = [
        {"embedding_0": each, "expression": each.astype(np.float32), "fused": each[:, :1].astype(np.float32)}
        for each in values
    ]
    seen = [how.of(each, totals, positions) for each, positions in zip(arrays, places, strict=True)]
    assert [view.shape for view in seen[0]] == [(400, 3)] * 3 + [(400, 4)] * 3
    beside = [np.concatenate(pair) for pair in zip(*seen, strict=True)]
    options = DomainOptions(n_domains=3)
    vocabulary, _ = fit_vocabulary([np.concatenate(values)], places, options, how, beside)
    assert (vocabulary.n_trainings, len(vocabulary.mixtures)) == (1, 7)
    found = [
        vocabulary.votes(vocabulary.partitions([each, *views], positions, 1)).argmax(1)
        for each, views, positions in zip(values, seen, places, strict=True)
    ]
    names = [np.median(found[0][kinds[0] == kind]) for kind in range(3)]
    assert (found[1] == np.array(names)[kinds[1]]).mean() > 0.95
    save_vocabulary(tmp_path, vocabulary, {})
    assert load_vocabulary(tmp_path)[0].views == how
    record = json.loads((tmp_path / "vocabulary.json").read_text())
    for wrong, message in ({"n_views": 5}, "Expected 6 views"), ({"views": record["views"] | {"scale": 0.0}}, "scale"):
        (tmp_path / "vocabulary.json").write_text(json.dumps(record | wrong))
        with pytest.raises(EfnstError, match=message):
            load_vocabulary(tmp_path)


def test_other_ways_to_cluster_are_refused() -> None:
    with pytest.raises(EfnstError, match="Expected clustering mixture with scope cohort, found leiden"):
        fit_vocabulary([np.zeros((9, 2))], [np.zeros((9, 2))], DomainOptions(clustering="leiden"))
