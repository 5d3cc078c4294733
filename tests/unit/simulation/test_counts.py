"""Genes, programmes and counts of the simulated tissue."""

import numpy as np
import pytest
from scipy import sparse
from tests.support.simulated import touching

from efnst.errors import EfnstError
from efnst.simulation.counts import (
    MITOCHONDRIAL,
    MIXING,
    gene_names,
    mixed_shares,
    region_shares,
    separate_programmes,
    simulate_counts,
    simulate_programmes,
)
from efnst.simulation.regions import SOURCES, simulate_tissue


def test_gene_names() -> None:
    ids, symbols = gene_names(2000)
    assert len(set(ids)) == len(ids) == 2000
    assert {len(name) for name in ids} == {15}
    assert len(symbols) - len(set(symbols)) == 2
    assert tuple(symbols[:13]) == MITOCHONDRIAL
    assert sum(name.startswith(("RPL", "RPS")) for name in symbols) == 40
    with pytest.raises(EfnstError, match="at least 100 genes"):
        gene_names(60)


def counts_of(n_spots: int = 800, median_counts: float = 4500.0, chunk: int = 2000) -> sparse.csr_matrix:
    rng = np.random.default_rng(5)
    tissue = simulate_tissue(n_spots, "layers", 4, rng)
    return simulate_counts(tissue, simulate_programmes(600, 4, rng), median_counts, rng, chunk)


def test_library_sizes_mitochondrial_share_and_bad_spots() -> None:
    counts = counts_of()
    totals = np.asarray(counts.sum(axis=1)).ravel()
    share = np.asarray(counts[:, :13].sum(axis=1)).ravel() / totals
    assert counts.dtype == np.int32
    assert counts.data.min() > 0
    assert 3000 < np.median(totals) < 6500
    assert 0.05 < np.median(share) < 0.15
    assert np.sum(totals < 300) == 8  # 1 % of 800
    assert np.sum(share > 0.35) == 8


def test_counts_are_overdispersed_around_housekeeping_means() -> None:
    counts = counts_of(median_counts=20_000).toarray().astype(float)
    totals = counts.sum(axis=1)
    usual = (totals > 2000) & (counts[:, :13].sum(axis=1) < 0.3 * totals)
    ribosomal = (counts[usual] / totals[usual, None] * np.median(totals))[:, 13:53]
    mean, variance = ribosomal.mean(axis=0), ribosomal.var(axis=0)
    dispersion = np.median((variance - mean) / mean**2)
    assert 0.15 < dispersion < 0.7  # drawn as 0.05 + Gamma(3, 0.1): median 0.32


def test_marker_genes_differ_between_regions() -> None:
    rng = np.random.default_rng(5)
    programmes = simulate_programmes(600, 4, rng)
    assert np.all(np.sum(programmes.region != 0, axis=1) > 20)
    assert np.all(programmes.region[:, :53] == 0)
    shared = (programmes.region[0] != 0) & (programmes.region[1] != 0)
    assert shared.sum() >= 10
    np.testing.assert_allclose(
        simulate_programmes(600, 4, np.random.default_rng(5), contrast=2.0).region, 2 * programmes.region
    )


@pytest.mark.parametrize("source", SOURCES)
def test_programmes_of_a_pair(source: str) -> None:
    before = simulate_programmes(300, 5, np.random.default_rng(5))
    after = separate_programmes(before, (1, 2), source)
    assert np.array_equal(after.region[1], after.region[2]) == (source == "image")
    assert after.depth[1] == after.depth[2] == before.depth[1]
    assert not after.gradient.any()
    others = [0, 1, 3, 4] if source == "image" else [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(after.region[others], before.region[others])
    np.testing.assert_array_equal(np.delete(after.depth, 2), np.delete(before.depth, 2))


def test_mixed_spots_have_one_of_two_kinds_in_the_proportions_of_their_region() -> None:
    tissue = simulate_tissue(1800, "mixed", 5, np.random.default_rng(2), with_pair=True)
    region, plain = tissue.spot_region[tissue.in_tissue], region_shares(tissue)
    mixed = mixed_shares(tissue, np.random.default_rng(0))
    np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(mixed[:, [0, 3, 4]], plain[:, [0, 3, 4]])
    assert np.all(mixed[:, 1:3].min(axis=1) == 0)  # never some of both

    second = mixed[:, 2] > mixed[:, 1]
    assert np.mean(second[region == 1]) == pytest.approx(1 - MIXING, abs=0.03)
    assert np.mean(second[region == 2]) == pytest.approx(MIXING, abs=0.03)
    a, b = touching(tissue).T
    inside = (region[a] == region[b]) & np.isin(region[a], tissue.pair)
    assert np.mean(second[a] == second[b], where=inside) == pytest.approx(MIXING**2 + (1 - MIXING) ** 2, abs=0.04)
