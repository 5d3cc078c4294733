"""Components of several sections brought together."""

import numpy as np
import pytest

from efnst.embedding.correction import Correction, fit_correction
from efnst.embedding.options import NO_BATCH

CENTRES = np.array([[8.0, 0, 0, 0], [0, 8.0, 0, 0], [0, 0, 8.0, 0]])
SHIFT = np.array([2.0, -2.0, 1.0, 3.0])


def units(kinds: np.ndarray, seed: int) -> np.ndarray:
    """Units of three kinds, float [n_units, 4]."""
    return CENTRES[kinds] + np.random.default_rng(seed).normal(0, 0.5, (len(kinds), 4))


@pytest.fixture(scope="module")
def kinds() -> np.ndarray:
    return np.arange(600) % 3


@pytest.fixture(scope="module")
def correction(kinds: np.ndarray) -> Correction:
    values = np.vstack([units(kinds, 0), units(kinds, 1) + SHIFT])
    return fit_correction(values, np.repeat(["a", "b"], 600), 0)


def gap(first: np.ndarray, second: np.ndarray, kinds: np.ndarray) -> float:
    """The largest distance between the means of the same kind."""
    return max(np.linalg.norm(first[kinds == k].mean(0) - second[kinds == k].mean(0)) for k in range(3))


def test_the_shift_between_batches_is_taken_out(correction: Correction, kinds: np.ndarray) -> None:
    first, second = units(kinds, 2), units(kinds, 3) + SHIFT
    assert gap(first, second, kinds) > 4
    assert gap(correction.of(first, "a"), correction.of(second, "b"), kinds) < 1.2


def test_what_tells_kinds_apart_stays(correction: Correction, kinds: np.ndarray) -> None:
    found = correction.of(units(kinds, 2), "a")
    means = np.stack([found[kinds == kind].mean(0) for kind in range(3)])
    assert min(np.linalg.norm(means[i] - means[j]) for i, j in ((0, 1), (0, 2), (1, 2))) > 9


def test_a_unit_does_not_depend_on_the_others_of_its_batch(correction: Correction, kinds: np.ndarray) -> None:
    values = units(kinds, 4) + SHIFT
    assert np.allclose(correction.of(values, "b")[:5], correction.of(values[:5], "b"), atol=1e-5)


def test_a_new_batch_is_brought_to_the_others(correction: Correction, kinds: np.ndarray) -> None:
    known, new = correction.of(units(kinds, 2), "a"), correction.of(units(kinds, 5) + SHIFT / 2, "new")
    assert gap(known, new, kinds) < 1.2


def test_new_tissue_of_a_new_batch_stays_apart(correction: Correction, kinds: np.ndarray) -> None:
    strange = np.array([0, 0, 0, 12.0])
    mixed = np.vstack([units(kinds, 6), strange + np.random.default_rng(7).normal(0, 0.5, (150, 4))])
    found = correction.of(mixed, "new")
    nearest = np.linalg.norm(found[600:, None] - correction.means[None], axis=2).min(1)
    assert np.median(nearest) > 6


def test_where_nothing_is_taken_out_there_is_no_correction(kinds: np.ndarray) -> None:
    assert fit_correction(units(kinds, 0), np.repeat(NO_BATCH, 600), 0) is None


def test_one_batch_stays_as_it_is_and_a_new_one_is_brought_to_it(kinds: np.ndarray) -> None:
    values = units(kinds, 0).astype(np.float32)
    alone = fit_correction(values, np.repeat("a", 600), 0)
    assert alone.batches == ("a",) and np.array_equal(alone.of(values, "a"), values)
    assert gap(values, units(kinds, 5) + SHIFT, kinds) > 4
    assert gap(values, alone.of(units(kinds, 5) + SHIFT / 2, "new"), kinds) < 1.2
