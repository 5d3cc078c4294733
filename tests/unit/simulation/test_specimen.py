"""Simulated sections as a whole: what tells their regions apart, and what they cost."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial import cKDTree
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from efnst.errors import EfnstError
from efnst.simulation.counts import MITOCHONDRIAL, MIXING, Programmes, simulate_programmes
from efnst.simulation.specimen import Recipe, Specimen, simulate_expression, simulate_specimen


def test_expression_is_the_same_for_a_seed_only() -> None:
    first, second, other = (simulate_expression(300, 200, 4, seed) for seed in (1, 1, 2))
    assert first[2].shape == (300, 200)
    assert len(set(first[1])) == 4
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert (first[2] != second[2]).nnz == 0
    assert (first[2] != other[2]).nnz > 1000


def test_expression_carries_the_regions() -> None:
    _, labels, counts = simulate_expression(1000, 500, 4, 0)
    usual = np.asarray(counts.sum(axis=1)).ravel() > 1000
    share = counts.toarray()[usual] / counts.sum(axis=1)[usual]
    logs = np.log1p(1e4 * np.asarray(share))
    centred = logs - logs.mean(axis=0)
    means = np.array([centred[labels[usual] == name].mean(axis=0) for name in np.unique(labels)])
    shuffled = np.random.default_rng(0).permutation(labels[usual])
    chance = np.array([centred[shuffled == name].mean(axis=0) for name in np.unique(labels)])
    assert np.sum(means**2) > 4 * np.sum(chance**2)


SEPARATED = Recipe(n_spots=1200, n_genes=400, contrast=2.0)


@cache
def separated(source: str) -> Specimen:
    """A section of mixed tissue whose pair differs in `source` alone."""
    return simulate_specimen("mixed", replace(SEPARATED, separated_by=source), *np.random.default_rng(2).spawn(2))


def of_pair(specimen: Specimen) -> tuple[np.ndarray, np.ndarray]:
    """Which spots in tissue to tell apart, bool [n_spots]: those of the pair without the poor and dying ones; and which
    of the chosen ones lie in the second region, bool [n_chosen]."""
    tissue, totals = specimen.tissue, np.asarray(specimen.counts.sum(axis=1)).ravel()
    mitochondrial = np.asarray(specimen.counts[:, : len(MITOCHONDRIAL)].sum(axis=1)).ravel()
    region = tissue.spot_region[tissue.in_tissue]
    chosen = np.isin(region, tissue.pair) & (totals > 500) & (mitochondrial < 0.35 * totals)
    return chosen, region[chosen] == tissue.pair[1]


def expression_accuracy(specimen: Specimen) -> float:
    """How often a classifier that learns from other spots of the pair is right about a spot's region."""
    chosen, second = of_pair(specimen)
    counts = specimen.counts[chosen].toarray()
    logs = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    classifier = make_pipeline(PCA(15, random_state=0), LogisticRegression(class_weight="balanced"))
    return balanced_accuracy_score(second, cross_val_predict(classifier, logs, second, cv=folds))


def nuclei_accuracy(specimen: Specimen) -> float:
    """How often the number of nuclei within 95 µm, against the best limit, is right about a spot's region.

    Spots whose 95 µm reach beyond the pair are left out.
    """
    tissue, appearance = specimen.tissue, specimen.appearance
    positions = tissue.grid.positions_um
    to_others = cKDTree(positions[~np.isin(tissue.spot_region, tissue.pair)]).query(positions)[0]
    inner = np.isin(tissue.spot_region, tissue.pair) & (to_others > 180)
    places = appearance.frame.to_image(positions[inner])
    nuclei = cKDTree(appearance.nuclei_um).query_ball_point(places, 95, return_length=True)
    second = tissue.spot_region[inner] == tissue.pair[1]
    return max(balanced_accuracy_score(second, nuclei > limit) for limit in np.unique(nuclei))


def nearer_programme(specimen: Specimen, programmes: Programmes) -> np.ndarray:
    """Which of the pair's two true programmes makes the counts of each chosen spot likelier, bool [n_chosen].

    Likelihood of the negative binomial with mean m and size k: x · log(m / (m + k)) - k · log(m + k), terms without m
    left out.
    """
    counts = specimen.counts[of_pair(specimen)[0]].toarray()[:, len(MITOCHONDRIAL) :]
    size = 1 / programmes.dispersion[len(MITOCHONDRIAL) :]
    likelihood = []
    for region in specimen.tissue.pair:
        rate = np.exp(programmes.log_mean + programmes.region[region])[len(MITOCHONDRIAL) :]
        mean = counts.sum(axis=1, keepdims=True) * rate / rate.sum()
        likelihood.append((counts * np.log(mean / (mean + size)) - size * np.log(mean + size)).sum(axis=1))
    return likelihood[1] > likelihood[0]


def smoothed_twice(specimen: Specimen, values: np.ndarray) -> np.ndarray:
    """`values` [n_chosen] averaged over each spot and its neighbours in the pair, then once more."""
    positions = specimen.tissue.grid.positions_um[specimen.tissue.in_tissue][of_pair(specimen)[0]]
    near = cKDTree(positions).sparse_distance_matrix(cKDTree(positions), 101, output_type="coo_matrix")
    near = sparse.csr_matrix((np.ones(near.nnz), (near.row, near.col)), near.shape)
    near.setdiag(1)
    average = sparse.diags(1 / np.asarray(near.sum(axis=1)).ravel()) @ near
    return average @ (average @ values)


@pytest.mark.slow
def test_image_alone_separates() -> None:
    specimen = separated("image")
    assert len(of_pair(specimen)[1]) >= 600
    assert 0.45 < expression_accuracy(specimen) < 0.55
    assert nuclei_accuracy(specimen) > 0.95


@pytest.mark.slow
def test_expression_alone_separates() -> None:
    specimen = separated("expression")
    assert expression_accuracy(specimen) > 0.95
    assert nuclei_accuracy(specimen) < 0.6


@pytest.mark.slow
def test_space_alone_separates() -> None:
    """A spot by itself says no more than the proportions of the mixture, its neighbourhood says the region."""
    specimen = separated("space")
    programmes = simulate_programmes(400, 5, np.random.default_rng(2).spawn(2)[0], SEPARATED.contrast)
    _, second = of_pair(specimen)
    kind = nearer_programme(specimen, programmes)
    assert balanced_accuracy_score(second, kind) == pytest.approx(MIXING, abs=0.03)
    assert expression_accuracy(specimen) < MIXING + 0.03
    assert nuclei_accuracy(specimen) < 0.6
    assert balanced_accuracy_score(second, smoothed_twice(specimen, kind) > 0.5) > 0.9


def test_unknown_source_is_refused() -> None:
    with pytest.raises(EfnstError, match="image, expression, space, found `smell`"):
        simulate_specimen("mixed", Recipe(separated_by="smell"), *np.random.default_rng(2).spawn(2))


@pytest.mark.slow
def test_sixty_thousand_spots_fit_into_three_gigabytes() -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    positions, labels, counts = simulate_expression(60_000, 2000, 7, 0)
    grown_gib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024**2
    assert positions.shape == (60_000, 2)
    assert len(set(labels)) == 7
    assert counts.shape == (60_000, 2000)
    assert grown_gib < 3
