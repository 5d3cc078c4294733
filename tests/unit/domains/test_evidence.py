"""Evidence in held-out counts: planted domains, noise, and the rule of who votes worked out by hand."""

import numpy as np
import pytest
from scipy import sparse

from efnst.domains.candidates import Space, views
from efnst.domains.evidence import LEAST, Gains, held_out_gains, voting_weights
from efnst.domains.ingredients import evidence_record, image_evidence
from efnst.domains.options import DomainOptions
from efnst.geometry.neighbours import neighbour_graph

SIDE = 40


@pytest.fixture(scope="module")
def planted() -> tuple[sparse.csr_array, np.ndarray, np.ndarray]:
    """Counts [1600, 60] of two stripes that differ in twenty genes, positions and stripes."""
    positions = np.argwhere(np.ones((SIDE, SIDE))).astype(float)
    region = (positions[:, 0] >= SIDE // 2).astype(int)
    rates = np.ones((2, 60))
    rates[0, :10] = rates[1, 10:20] = 3
    counts = np.random.default_rng(0).poisson(rates[region] * 2)
    return sparse.csr_array(counts), positions, region


def test_domains_that_are_there_tell_counts_and_noise_does_not(planted: tuple) -> None:
    """In nats a count, what the right domains gain is the divergence of their profiles from the mean, 0.066."""
    counts, positions, region = planted
    noise = np.random.default_rng(1).permutation(region)
    gains = held_out_gains(counts, positions, np.stack([region, noise, np.zeros_like(region)]), 0)
    profiles = np.ones((2, 60))
    profiles[0, :10] = profiles[1, 10:20] = 3
    profiles /= profiles.sum(1, keepdims=True)
    expected = (profiles * np.log(profiles / profiles.mean(0))).sum(1).mean()
    assert gains.means[0] == pytest.approx(expected, rel=0.05)
    assert gains.means[1] < 0.01 * expected and gains.means[2] == pytest.approx(0, abs=1e-4)
    assert gains.weights.sum() == pytest.approx(1) and len(gains.weights) == 16
    assert voting_weights(gains).tolist() == [1, LEAST, 1], "half of three, rounded up, whatever the test says"


def test_the_order_in_which_counts_are_stored_does_not_matter(planted: tuple) -> None:
    """Counts of units are products of matrices, whose columns are in no order."""
    counts, positions, region = planted
    turned = counts.copy()
    for start, end in zip(turned.indptr, turned.indptr[1:], strict=False):
        turned.indices[start:end], turned.data[start:end] = (
            turned.indices[start:end][::-1],
            turned.data[start:end][::-1],
        )
    turned.has_sorted_indices = turned.has_canonical_format = False
    first, second = (held_out_gains(values, positions, region[None], 0) for values in (counts, turned))
    assert first.means == pytest.approx(second.means)


def test_a_partition_made_of_noise_in_the_counts_gains_nothing() -> None:
    """Labels that follow one gene's own noise would look good on counts that were seen twice."""
    counts = np.random.default_rng(2).poisson(1.0, (400, 30))
    positions = np.argwhere(np.ones((20, 20))).astype(float)
    gains = held_out_gains(sparse.csr_array(counts), positions, np.array([np.arange(400) % 4]), 0)
    assert abs(gains.means[0]) < 0.005


def test_who_votes_by_hand() -> None:
    """Over 4 blocks t is 2.35. The last two are behind by 1 and 2: clearly, by 1 ± 0, and not, by 2 ± 1.2."""
    best = np.array([4.0, 4, 4, 4])
    values = np.stack([best, best - 0.1, best - 1, best - [0, 0, 4, 4]])
    gains = Gains(values, np.full(4, 0.25))
    assert voting_weights(gains).tolist() == [1, 1, LEAST, 1]
    assert (voting_weights(Gains(values[:, :1], np.ones(1))) == 1).all(), "one block tells nothing"
    difference = gains.difference(gains.values[0], gains.values[3])
    assert (difference.gain, difference.error) == (2, pytest.approx(2 / np.sqrt(3)))


def test_weights_fall_between_the_edges_and_rounding_moves_them_by_as_little() -> None:
    """The last of four is behind by as much of what is significant, 2.35 standard errors, as `parts` says."""
    best = np.array([4.0, 4, 4, 4])
    unit = np.array([0, 0, 4, 4]) / (2.353 / np.sqrt(3) * 2)  # behind by 2 / 2.72, its standard error 1.15 / 2.72
    spread = unit - unit.mean()
    found = []
    for parts in (0.7, 0.8, 1, 1.0001, 1.2, 1.3):
        last = best - spread - parts * 2.353 * unit.std() / np.sqrt(3)
        values = np.stack([best, best - 0.01, best - 9, last])
        found.append(voting_weights(Gains(values, np.full(4, 0.25)))[3])
    assert found == pytest.approx([1, 0.9, 0.5, 0.4998, 0.1, LEAST], abs=0.005)
    assert found[2] - found[3] == pytest.approx(0.0002, rel=0.05)


def spaced(region: np.ndarray, positions: np.ndarray, image: np.ndarray | None) -> Space:
    """A space whose expression is all noise, so that only an image can show the region."""
    noise = np.random.default_rng(3).standard_normal((len(region), 4)).astype(np.float32)
    return Space(noise, image, neighbour_graph(positions, 6), np.ones(len(region)), 5)


def test_what_the_image_adds(planted: tuple) -> None:
    counts, positions, region = planted
    image = (5 * region[:, None] + np.random.default_rng(4).standard_normal((len(region), 2))).astype(np.float32)
    options = DomainOptions(n_domains=2)
    found = image_evidence(spaced(region, positions, image), counts, positions, options)
    assert found.gain > 0.05 and found.gain > 10 * found.error
    assert image_evidence(spaced(region, positions, None), counts, positions, options) is None


def test_views_differ_and_have_the_width_of_an_embedding(planted: tuple) -> None:
    _, positions, region = planted
    found = views(spaced(region, positions, np.ones((len(region), 1), np.float32)), 0.5)
    assert [values.shape[1] for values in found] == [3, 3, 3, 5, 5, 5]
    assert len({values.tobytes() for values in found}) == 6


def test_the_record_says_what_each_ingredient_adds(planted: tuple) -> None:
    counts, positions, region = planted
    image = (5 * region[:, None] + np.random.default_rng(4).standard_normal((len(region), 2))).astype(np.float32)
    methods = {"efnst": region + 1, "leiden": np.ones_like(region), "diffused": region + 1}
    gains = held_out_gains(counts, positions, np.stack([region, np.zeros_like(region)]), 0)
    members = (gains, np.array([1, LEAST]), 1)
    space = spaced(region, positions, image)
    record = evidence_record(space, counts, positions, methods, members, DomainOptions(n_domains=2))
    assert set(record["ingredients"]) == {"image", "network", "mixture", "prior"}
    assert record["ingredients"]["image"]["verdict"] == record["ingredients"]["network"]["verdict"] == "clear"
    assert record["ingredients"]["prior"]["verdict"] == "little"
    assert [(member["kind"], member["weight"]) for member in record["members"]] == [("training", 1), ("view", LEAST)]
    kmeans = evidence_record(
        space, counts, positions, methods, members, DomainOptions(n_domains=2, clustering="leiden")
    )
    assert set(kmeans["ingredients"]) == {"image", "network"}
