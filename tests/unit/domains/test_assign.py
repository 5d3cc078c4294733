"""Clustering of planted groups, and the numbering of domains."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from efnst.domains.assign import agreement_by_units, assign_domains, by_size, match_numbers
from efnst.domains.clustering import cluster
from efnst.domains.consensus import consensus
from efnst.domains.options import DomainOptions
from efnst.domains.refinement import refine
from efnst.domains.scores import label_scores
from efnst.domains.vocabulary import fit_vocabulary


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


def test_by_size_numbers_from_one_by_falling_size_then_first_spot() -> None:
    assert by_size(np.array([7, 3, 3, 9, 7, 3])).tolist() == [2, 1, 1, 3, 2, 1]
    assert by_size(np.array([5, 4, 4, 5])).tolist() == [1, 2, 2, 1]


def test_match_numbers_follows_the_reference() -> None:
    reference = np.array([1, 1, 1, 2, 2, 3])
    assert match_numbers(np.array([2, 2, 2, 0, 0, 1]), reference).tolist() == [1, 1, 1, 2, 2, 3]
    assert sorted(set(match_numbers(np.array([0, 1, 2, 3, 3, 3]), reference))) == [1, 2, 4, 5]  # 3 is shared by none


def test_trainings_of_bins_are_scored_by_bins() -> None:
    """Two units of two and four labelled bins, and one bin without a label: by hand, (4 - 42/15) / (6.5 - 42/15)."""
    units, labels = np.array([0, 0, 1, 1, 1, 1, 0]), pd.Series([*"aabbba", None])
    domains, partitions = np.array([1, 2]), np.array([[0, 1], [0, 0]])
    found = agreement_by_units(domains, partitions, units, labels, DomainOptions())
    assert found["ari_of_units"] == pytest.approx(1.2 / 3.7) and found["ari_of_runs"] == pytest.approx([1.2 / 3.7, 0])
    by_spots = agreement_by_units(domains, partitions, slice(None), pd.Series(["a", "b"]), DomainOptions())
    assert by_spots == {"n_runs": 2, "stability": 0.0, "ari_of_runs": [1.0, 0.0]}
    assert agreement_by_units(domains, partitions[:1], units, None, DomainOptions()) == {}


@pytest.mark.parametrize("n_runs", [1, 3])
def test_confidence_is_that_of_the_domain_after_refinement(
    simulated_section: Callable[..., AnnData], n_runs: int
) -> None:
    """Domains of noise are speckled, so that the last refinement changes some of them."""
    section = simulated_section(200, 100)
    noise = np.random.default_rng(0).standard_normal((n_runs, section.n_obs, 3))
    arrays = {f"embedding_{run}": values for run, values in enumerate(noise)}
    arrays |= {"expression": noise[0], "diffused": noise[0]}
    options = DomainOptions(n_domains=3, refinement_rounds=1, spatial_prior=0.0, untrained_views=False)
    assigned, record = assign_domains(section, arrays, options)

    positions = section.obsm["spatial"]
    found = [cluster(values, 3, "mixture", seed) for seed, values in enumerate(noise)]
    weights = np.array([member["weight"] for member in record["evidence"]["members"]])
    labels, votes = consensus(np.stack([refine(clustering.labels, positions, 1) for clustering in found]), weights)
    domains = refine(labels, positions, 1)
    shares = votes if n_runs > 1 else found[0].probabilities
    assert (domains != labels).any()
    assert assigned.confidence == pytest.approx([row[domain] for row, domain in zip(shares, domains, strict=True)])


def test_sections_that_share_domains_are_shown_in_one_space(simulated_section: Callable[..., AnnData]) -> None:
    """Each section is told best by another training; both show the one that tells the two together best."""
    sections = [simulated_section(n_spots, 100) for n_spots in (300, 150)]
    arrays = []
    for section, noise in zip(sections, ((0.5, 4.0), (4.0, 0.5)), strict=True):
        random, region = np.random.default_rng(section.n_obs), section.obs["label"].cat.codes.to_numpy()
        given = [6 * np.eye(3)[region] + random.normal(0, each, (section.n_obs, 3)) for each in noise]
        arrays.append({"embedding_0": given[0], "embedding_1": given[1], "expression": given[0], "diffused": given[0]})
    places = [section.obsm["spatial"] for section in sections]
    together = [np.concatenate([each[f"embedding_{number}"] for each in arrays]) for number in range(2)]
    shared, _ = fit_vocabulary(together, places, DomainOptions(n_domains=3))
    assert shared.shown == 0
    for section, each in zip(sections, arrays, strict=True):
        assigned, _ = assign_domains(section, each, DomainOptions(), shared=shared)
        assert np.array_equal(assigned.embedding, each["embedding_0"])
    alone, _ = assign_domains(sections[1], arrays[1], DomainOptions(n_domains=3))
    assert np.array_equal(alone.embedding, arrays[1]["embedding_1"])
