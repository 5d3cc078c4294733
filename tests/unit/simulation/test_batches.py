"""A simulated cohort in batches: what sections have in common, and what their batches differ in."""

from dataclasses import replace

import numpy as np
import pytest

from efnst.simulation.batches import EXTRA, FEWEST, Plan, simulate_batch, simulate_batched_section
from efnst.simulation.space_ranger import SMALL, SimulatedSection

PLAN = Plan(n_sections=6, n_batches=3, seed=1)
RECIPE = replace(SMALL, n_spots=200, n_genes=200, n_regions=4)


@pytest.fixture(scope="module")
def sections() -> list[SimulatedSection]:
    return [simulate_batched_section(PLAN, number, RECIPE) for number in range(PLAN.n_sections)]


def profile(section: SimulatedSection, region: str) -> np.ndarray:
    """Log of the share that each gene has of the counts of a region."""
    barcodes = section.labels.set_index("barcode")["label"].loc[section.matrix.barcodes]
    counts = np.asarray(section.matrix.counts[:, (barcodes == region).to_numpy()].sum(axis=1)).ravel()
    return np.log((counts + 5) / counts.sum())


def contrast(section: SimulatedSection, one: str, other: str) -> np.ndarray:
    return profile(section, one) - profile(section, other)


def test_sections_lack_regions_and_the_last_alone_has_the_extra_one(sections: list[SimulatedSection]) -> None:
    names = [set(section.labels["label"]) for section in sections]
    shared = {f"region_{number}" for number in range(1, 5)}
    assert [EXTRA in found for found in names] == [False] * 5 + [True]
    assert all(found - {EXTRA} <= shared and len(found - {EXTRA}) >= FEWEST for found in names)
    assert any(shared - found for found in names)
    assert set.union(*names) == shared | {EXTRA}


def test_batches_take_turns() -> None:
    assert [PLAN.batch(number) for number in range(4)] == ["batch_1", "batch_2", "batch_3", "batch_1"]
    assert [PLAN.name(number) for number in (0, 5)] == ["sim_1", "sim_6"]
    first, again, other = (simulate_batch(PLAN, number, 200) for number in (0, 3, 1))
    assert np.array_equal(first.genes, again.genes)
    assert (first.depth, first.eosin) == (again.depth, again.eosin)
    assert (first.depth, first.eosin) != (other.depth, other.eosin)
    assert np.corrcoef(first.genes, other.genes)[0, 1] < 0.5


def test_a_batch_multiplies_genes_and_counts_of_all_regions_alike(sections: list[SimulatedSection]) -> None:
    depth = [np.median(np.asarray(section.matrix.counts.sum(axis=0))) for section in sections]
    assert depth[1] < 0.7 * depth[0] < 0.5 * depth[2]
    caught = simulate_batch(PLAN, 1, 200).genes - simulate_batch(PLAN, 0, 200).genes
    common = min(set(sections[0].labels["label"]) & set(sections[1].labels["label"]))
    seen = profile(sections[1], common) - profile(sections[0], common)
    assert np.corrcoef(caught, seen)[0, 1] > 0.7


def test_a_region_differs_from_another_in_the_same_genes_in_all_batches(sections: list[SimulatedSection]) -> None:
    having = [each for each in sections if {"region_1", "region_2"} <= set(each.labels["label"])]
    assert len(having) >= 2
    same = np.corrcoef(*(contrast(section, "region_1", "region_2") for section in having[:2]))[0, 1]
    assert same > 0.4  # what is drawn anew for each section has about none


def test_stain_differs_by_batch(sections: list[SimulatedSection]) -> None:
    batches = [simulate_batch(PLAN, number, 200) for number in range(3)]
    dark = [float(section.specimen.appearance.darkness.mean()) for section in sections[:3]]
    order = np.argsort([batch.haematoxylin for batch in batches])
    assert np.array_equal(np.argsort(dark), order)
