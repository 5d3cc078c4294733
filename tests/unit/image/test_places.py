"""Where patches lie: a ring around each spot."""

import numpy as np
import pytest

from efnst.errors import EfnstError
from efnst.image.places import Places, with_ring

SPOTS = Places(np.array(["a", "b"]), np.array([[1000.0, 500.0], [2000.0, 500.0]]), None)


def test_a_ring_makes_seven_windows_take_in_190_micrometres() -> None:
    places = with_ring(SPOTS, widest_um=112, um_per_px=0.5)
    assert (places.n_each, places.ring_um) == (7, 39)
    assert 112 + 2 * places.ring_um == 190
    around = places.positions.reshape(2, 7, 2) - SPOTS.positions[:, None]
    assert np.array_equal(around[:, 0], np.zeros((2, 2)))
    assert np.allclose(np.linalg.norm(around[:, 1:], axis=2) * 0.5, 39)
    assert np.allclose(around.mean(1), 0)
    apart = np.linalg.norm(around[0, 1:] - np.roll(around[0, 1:], 1, axis=0), axis=1)
    assert np.allclose(apart * 0.5, 39), "six around one, all equally far from each other"


def test_windows_that_take_in_the_neighbours_need_no_ring() -> None:
    with pytest.raises(EfnstError, match=r"narrower than 190 µm for --patches_per_spot 7, found 190 µm"):
        with_ring(SPOTS, widest_um=190, um_per_px=0.5)
