"""Tissue that one section of several alone has."""

import numpy as np
import pytest
from tests.support.grids import square

from efnst.domains.clustering import Clustering
from efnst.domains.distances import RINGS
from efnst.domains.options import DomainOptions
from efnst.domains.own_tissue import labels_of_others, own_tissue, with_own_tissue
from efnst.domains.vocabulary import Vocabulary, fit_vocabulary
from efnst.embedding.sketch import sections_of, side_by_side

CENTRES = np.array([[6.0, 0, 0, 0], [0, 6, 0, 0], [0, 0, 6, 0], [3, 3, 3, 5]])
OWN = 3


def cohort(own: int = 6, n_sections: int = 8, kinds: int = 3) -> tuple[list[np.ndarray], np.ndarray, list[np.ndarray]]:
    """Places, kinds and values of sections of 20 × 20 units in bands of one kind each, in two trainings.

    The last section alone has a square of `own` × `own` units of another one.
    """
    places, random = [square(20, 20)] * n_sections, np.random.default_rng(0)
    band = (places[0][:, 0] * kinds // 20).astype(int)
    kind = np.tile(band, (n_sections, 1))
    kind[-1, (np.abs(places[0] - 10) < own / 2).all(1)] = OWN
    values = CENTRES[kind.ravel()] + random.standard_normal((kind.size, 4))
    values += np.repeat(random.normal(0, 0.3, (n_sections, 4)), 400, axis=0)  # what batches leave
    return places, kind.ravel(), [values, values[:, ::-1]]


def domains(vocabulary: Vocabulary, places: list[np.ndarray], values: list[np.ndarray]) -> np.ndarray:
    found = []
    for rows, positions in zip(np.split(np.arange(len(values[0])), len(places)), places, strict=True):
        partitions = vocabulary.partitions([each[rows] for each in values], positions, 1)
        found.append(vocabulary.votes(partitions).argmax(1))
    return np.concatenate(found)


def test_a_group_that_no_other_section_has_is_found_and_nothing_else() -> None:
    """With what borders on it, as distances are averaged."""
    places, kind, values = cohort()
    (group,) = own_tissue(values, np.where(kind == OWN, 1, kind), side_by_side(places), sections_of(places))
    assert np.isin(np.flatnonzero(kind == OWN), group).mean() > 0.6
    assert (np.abs(places[-1][group - 7 * 400] - 10) <= 3 + RINGS).all()


@pytest.mark.parametrize(("own", "n_sections"), [(0, 8), (6, 2), (3, 8)])
def test_nothing_is_found_where_there_is_nothing_or_too_little_to_tell(own: int, n_sections: int) -> None:
    places, kind, values = cohort(own, n_sections)
    assert own_tissue(values, np.where(kind == OWN, 1, kind), side_by_side(places), sections_of(places)) == []


def test_a_section_that_lies_elsewhere_as_a_whole_has_no_tissue_of_its_own() -> None:
    """A batch that nothing was corrected for."""
    places, kind, values = cohort(0)
    for each in values:
        each[-400:] += 2
    assert own_tissue(values, kind, side_by_side(places), sections_of(places)) == []


def test_it_is_one_domain_more_and_in_no_other_section() -> None:
    places, kind, values = cohort()
    vocabulary, choice = fit_vocabulary(values, places, DomainOptions(max_domains=6))
    found = domains(vocabulary, places, values)
    assert choice["n_domains"] == 3 and vocabulary.n_domains == 4
    assert vocabulary.how.endswith("1 of tissue that one section alone has")
    assert (found[kind == OWN] == 3).mean() > 0.9 and (found[kind != OWN] == 3).mean() < 0.005


@pytest.mark.parametrize(("n_domains", "n_others", "is_found"), [(2, 2, False), (3, 3, False), (4, 3, True)])
def test_a_number_that_is_given_stays(n_domains: int, n_others: int, is_found: bool) -> None:
    """It takes the place of a component that is no tissue, and of no other."""
    places, kind, values = cohort()
    vocabulary, _ = fit_vocabulary(values, places, DomainOptions(n_domains=n_domains))
    found = domains(vocabulary, places, values)
    assert vocabulary.n_domains == n_domains
    assert len(np.unique(found[kind != OWN])) == n_others
    assert ((found[kind == OWN] == 3).mean() > 0.9) == is_found


@pytest.mark.parametrize(("n_domains", "n_sections", "n_others"), [(4, 8, 3), (None, 8, 4), (4, 2, 4), (2, 8, 4)])
def test_beside_tissue_of_one_section_there_is_one_domain_less(
    n_domains: int | None, n_sections: int, n_others: int
) -> None:
    """Where their number is given, and where there are sections enough to look for such tissue."""
    places, kind, values = cohort(n_sections=n_sections)
    given = labels_of_others(kind, values, side_by_side(places), n_sections, DomainOptions(n_domains=n_domains))
    assert len(np.unique(given)) == n_others


@pytest.mark.parametrize(("at_odds", "is_domain"), [(True, False), (True, True), (False, False)])
def test_where_a_tissue_was_made_two_it_takes_the_place_of_one_of_these(at_odds: bool, is_domain: bool) -> None:
    """If the trainings are at odds about the two; where they agree, these may be tissue as well."""
    places, kind, values = cohort()
    others, upper = np.where(kind == OWN, 1, kind), np.concatenate(places)[:, 1] < 10
    odd = sections_of(places) % 2 == 1
    partitions = np.stack([np.where((others == 0) & half, 3, others) for half in (upper, upper ^ (odd & at_odds))])
    found = [Clustering(labels, "", np.eye(4)[labels]) for labels in partitions]
    own, options = np.flatnonzero(kind == OWN), DomainOptions(n_domains=4)
    labels = kind if is_domain else others
    after, _ = with_own_tissue(partitions, found, labels, [own], values, side_by_side(places), options)
    assert np.array_equal(after, partitions) != at_odds
    assert (after[:, own] == 3).all() == at_odds
    assert not at_odds or all(len(np.unique(labels[kind == 0])) == 1 for labels in after)


def test_a_single_training_says_nothing_of_what_was_made_two() -> None:
    places, kind, values = cohort()
    vocabulary, _ = fit_vocabulary(values[:1], places, DomainOptions(n_domains=3))
    found = domains(vocabulary, places, values[:1])
    assert {np.bincount(found[kind == number]).argmax() for number in range(3)} == {0, 1, 2}


def test_no_more_domains_than_there_may_be() -> None:
    places, _, values = cohort()
    vocabulary, _ = fit_vocabulary(values, places, DomainOptions(max_domains=3))
    assert vocabulary.n_domains == 3


def test_what_is_a_domain_by_now_stays_one() -> None:
    """So many units that mixtures find them."""
    places, kind, values = cohort(own=14)
    vocabulary, choice = fit_vocabulary(values, places, DomainOptions(max_domains=6))
    assert vocabulary.n_domains == choice["n_domains"] == 4
    assert (domains(vocabulary, places, values)[kind == OWN] == 3).mean() > 0.9
