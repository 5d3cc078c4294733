"""Rare groups get components of their own where that is likelier, and components lie together."""

import numpy as np
import pytest

from efnst.domains import clustering
from efnst.domains.clustering import Clustering, with_prior
from efnst.domains.consensus import adjusted_rand
from efnst.domains.continuity import own_neighbours
from efnst.domains.rare import with_rare_groups
from efnst.domains.tied_mixture import expectation_maximisation, gaussians_of
from efnst.embedding.diffusion import diffuse
from efnst.geometry.neighbours import NEAREST, neighbour_graph

SIDE = 40
POSITIONS = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1).reshape(-1, 2).astype(float)
GRAPH = neighbour_graph(POSITIONS, NEAREST)


def members(labels: np.ndarray) -> np.ndarray:
    """0/1 [n_units, n_labels]."""
    return np.eye(labels.max() + 1)[labels]


def test_a_rare_group_takes_the_place_of_half_a_region() -> None:
    regions = np.repeat([0, 1, 2, 3], [900, 700, 500, 12])
    centres = np.array([[0, 0, 0], [8, 0, 0], [0, 8, 0], [0, 8, 7]])
    values = centres[regions] + np.random.default_rng(0).normal(size=(len(regions), 3))
    halves = np.where(regions == 3, 2, regions)
    halves[:900] = np.where(values[:900, 2] > 0, 3, 0)
    stuck = expectation_maximisation(values, members(halves))[0]
    assert adjusted_rand(stuck.probabilities(values).argmax(1), regions) < 0.8
    found = with_rare_groups(values, stuck)
    assert adjusted_rand(found.probabilities(values).argmax(1), regions) > 0.99
    assert found.mean_log_likelihood(values) > stuck.mean_log_likelihood(values)


def test_nothing_changes_where_nothing_is_likelier() -> None:
    regions = np.repeat([0, 1], 200)
    values = np.array([[0, 0], [9, 0]])[regions] + np.random.default_rng(1).normal(size=(400, 2))
    found = expectation_maximisation(values, members(regions))[0]
    assert with_rare_groups(values, found) is found


@pytest.mark.parametrize(("values", "n_components"), [(np.zeros((3, 2)), 2), (np.arange(4.0)[:, None], 3)])
def test_few_units(values: np.ndarray, n_components: int) -> None:
    start = gaussians_of(values, members(np.arange(len(values)) % n_components))
    assert np.isfinite(with_rare_groups(values, start).means).all()


def test_a_component_of_borders_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    regions = (POSITIONS[:, 0] * 3 // SIDE).astype(int)
    regions[(POSITIONS < 6).all(1)] = 3
    centres = np.random.default_rng(3).normal(scale=1.2, size=(4, 10))
    noisy = centres[regions] + np.random.default_rng(4).normal(scale=0.8, size=(SIDE**2, 10))
    values = diffuse(noisy, GRAPH, 0.5).astype(float)
    borders = np.where(np.diff(regions, append=regions[-1]) != 0, 3, np.where(regions == 3, 0, regions))
    start = expectation_maximisation(values, members(borders))[0].probabilities(values)
    stuck = Clustering(start.argmax(1), "mixture", start)
    assert own_neighbours(stuck.labels, GRAPH).min() < clustering.TOGETHER
    found = with_prior(stuck, values, POSITIONS, 0.3)
    assert own_neighbours(found.labels, GRAPH).min() > clustering.TOGETHER
    assert adjusted_rand(found.labels, regions) > 0.95
    monkeypatch.setattr(clustering, "TOGETHER", 0.0)
    assert adjusted_rand(with_prior(stuck, values, POSITIONS, 0.3).labels, regions) < 0.93
