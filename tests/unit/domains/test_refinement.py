"""Refinement against votes counted by hand."""

import numpy as np

from efnst.domains.refinement import refine


def line(n_spots: int) -> np.ndarray:
    """Spots on a line, 1 apart; equally near neighbours are taken by index."""
    return np.column_stack([np.arange(n_spots), np.zeros(n_spots)])


def test_all_spots_change_at_once() -> None:
    # Spot 3 has 0 1 2 4 5 6, in domains 1 1 1 1 2 2: two of its own, fewer than 3, so it becomes 1. Spot 4 has
    # 1 2 3 5 6 7, in domains 1 1 2 2 2 2, and becomes 2; had spot 3 changed before it, it would have kept 1.
    # Spots 0, 1 and 2 have 3 of their own, the others 4 or more.
    domains = np.array([1, 1, 1, 2, 1, 2, 2, 2, 2, 2])
    assert refine(domains, line(10), rounds=1).tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 2, 2]


def test_every_round_votes_on_the_last_and_a_tie_goes_to_the_smallest() -> None:
    # Of 7 spots each has the 6 others. All have at most 1 of their own, so all change. Spots of 1 see 1 2 2 3 3 4 and
    # become 2, the smaller of two that tie. Spots of 2 see 1 1 2 3 3 4, spots of 3 see 1 1 2 2 3 4, that of 4 sees
    # 1 1 2 2 3 3: all these become 1.
    domains = np.array([1, 1, 2, 2, 3, 3, 4])
    assert refine(domains, line(7), rounds=1).tolist() == [2, 2, 1, 1, 1, 1, 1]
    # Then the two spots of 2 have 1 of their own and become 1; those of 1 have 4.
    assert refine(domains, line(7), rounds=2).tolist() == [1] * 7


def test_no_round_gives_a_copy() -> None:
    domains = np.array([1, 1, 2, 2, 3, 3, 4])
    unchanged = refine(domains, line(7), rounds=0)
    assert unchanged.tolist() == domains.tolist()
    assert not np.shares_memory(unchanged, domains)


def test_half_of_the_neighbours_is_enough() -> None:
    # Each has the 6 others: spots of 1 have 3 of their own and stay, spots of 2 have 2 and change.
    assert refine(np.array([1, 1, 1, 1, 2, 2, 2]), line(7), rounds=1).tolist() == [1] * 7


def test_two_neighbours_by_hand() -> None:
    # Spot 3 lies between 1 and 1, spot 4 between 2 and 2: they change places. Every other has one of its own at least.
    assert refine(np.array([1, 1, 1, 2, 1, 2, 2, 2]), line(8), rounds=1, k=2).tolist() == [1, 1, 1, 1, 2, 2, 2, 2]


def test_a_lone_spot_inside_a_domain_joins_it() -> None:
    y, x = np.mgrid[:5, :5]
    domains = np.where((x == 2) & (y == 2), 1, 0).ravel()
    assert refine(domains, np.column_stack([x.ravel(), y.ravel()]), rounds=1).tolist() == [0] * 25


def test_a_single_spot_keeps_its_domain() -> None:
    assert refine(np.array([5]), line(1), rounds=2).tolist() == [5]
