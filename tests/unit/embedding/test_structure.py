"""How much of what components tell is in a section."""

import numpy as np
import pytest
from tests.support.grids import square

from efnst.embedding.structure import structure_of

PLACES = square(30, 30)
BANDS = np.sign(PLACES[:, :1] - 14.5)


def noise(scale: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, (900, 5))


def test_it_is_what_neighbours_share() -> None:
    """Of two bands at ±1 all but what the border takes, however large the noise is, and of each component."""
    values = np.hstack([BANDS, 2 * BANDS])
    assert structure_of(values, PLACES) == pytest.approx(5, rel=0.1)
    loud = np.hstack([values, noise(3, 0)])
    assert structure_of(loud, PLACES) == pytest.approx(structure_of(values, PLACES), abs=1.5)


def test_noise_has_none() -> None:
    assert structure_of(noise(1, 1), PLACES) < 0.1
    assert structure_of(np.random.default_rng(0).permutation(np.hstack([BANDS, 2 * BANDS])), PLACES) < 0.2


def test_one_unit_has_none() -> None:
    assert structure_of(np.ones((1, 3)), np.zeros((1, 2))) == 0
