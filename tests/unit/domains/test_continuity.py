"""CHAOS and PAS against numbers worked out by hand."""

import numpy as np
import pytest
from scipy import sparse

from efnst.domains.continuity import chaos, own_neighbours, pas

# x has mean 3 and standard deviation 2 (squared differences 9 + 1 + 0 + 0 + 1 + 9 = 20, over 5), y mean 6 and standard
# deviation 4. Scaled: (-1.5, 0), (-0.5, 0), (0, 1.5), (0, 0.5), (0.5, -0.5), (1.5, -1.5).
SIX_SPOTS = np.array([[0, 6], [2, 6], [3, 12], [3, 8], [4, 4], [6, 0]], float)

# Spots 0 … 15 along a line, not in that order. The 10 nearest of a spot at an end are those at distance 1 … 10.
LINE = np.random.default_rng(0).permutation(16)
ALONG_LINE = np.column_stack([LINE, np.zeros(16)])


def test_chaos_by_hand() -> None:
    # Domain 1: 1 and 1. Domain 2: 1, 1 and, from the fifth spot to the fourth, √(0.5² + 1²). Domain 3, one spot: 0.
    assert chaos(np.array([1, 1, 2, 2, 2, 3]), SIX_SPOTS) == pytest.approx((4 + np.sqrt(1.25)) / 6)  # 0.8530


def test_chaos_of_scattered_domains_by_hand() -> None:
    # Three pairs, at √(1.5² + 1.5²) = 3 √½, √(0.5² + 0.5²) = √½ and √(1² + 1²) = 2 √½: 2 · 6 √½ / 6.
    assert chaos(np.array([1, 2, 1, 2, 3, 3]), SIX_SPOTS) == pytest.approx(np.sqrt(2))


def test_chaos_scales_each_axis() -> None:
    assert chaos(np.array([1, 1, 2, 2, 2, 3]), SIX_SPOTS * [10, 0.1] + [5, -5]) == pytest.approx(0.8530, abs=5e-5)


def test_chaos_of_single_spots_is_zero() -> None:
    assert chaos(np.arange(6), SIX_SPOTS) == 0


def test_pas_counts_spots_with_six_of_ten_neighbours_elsewhere() -> None:
    # 11 … 15 are another domain: each has the 4 others of it among its 10 nearest, so 6 elsewhere, and counts. Spot 10
    # has 5 … 9 and 11 … 15, 5 elsewhere, and does not, nor does any before it.
    assert pas(LINE >= 11, ALONG_LINE) == pytest.approx(5 / 16)


def test_pas_does_not_count_spots_with_five_of_ten_neighbours_elsewhere() -> None:
    # 10 … 15 are another domain: each has 5 of its own among its 10 nearest; spot 9 has 4 … 8 and 10 … 14.
    assert pas(LINE >= 10, ALONG_LINE) == 0


def test_pas_of_a_small_section_by_hand() -> None:
    # Of 8 spots each has the 7 others as neighbours. The three of domain 2 have 5 elsewhere, more than half; the five
    # of domain 1 have 3.
    positions = np.column_stack([np.arange(8), np.zeros(8)])
    assert pas(np.array([1, 1, 2, 1, 2, 1, 2, 1]), positions) == pytest.approx(3 / 8)


def test_pas_of_one_spot_is_zero() -> None:
    assert pas(np.array([1]), np.zeros((1, 2))) == 0


def test_neighbours_that_have_the_label_too() -> None:
    # A line of six: 0 0 1 2 2 2. Of the neighbours of label 0 (1, 0, 2) two are 0; of label 1 none; of 2 (2, 4, 3, 5,
    # 4) four. Label 3 has one spot without neighbours, 4 none.
    line = sparse.diags_array([np.ones(6), np.ones(6)], offsets=[-1, 1], shape=(7, 7)).tolil()
    line[5, 6] = line[6, 5] = 0
    found = own_neighbours(np.array([0, 0, 1, 2, 2, 2, 4]), sparse.csr_array(line.tocsr()))
    assert found == pytest.approx([2 / 3, 0, 4 / 5, 1, 1])
