"""Choosing the number of domains: planted groups are found, the rule on curves worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from efnst.domains.number import NumberOfDomains, choose_number, stability_curve
from efnst.errors import EfnstError


def stripes(n_regions: int, noise: float, side: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Embedding [900, 5] of a square section in regions that each lie in several places, and the positions."""
    positions = np.argwhere(np.ones((side, side))).astype(float)
    region = (positions[:, 0] // 5 + 2 * (positions[:, 1] // 5)).astype(int) % n_regions
    random = np.random.default_rng(1)
    centres = 4 * np.linalg.qr(random.standard_normal((5, 5)))[0][:n_regions]
    return centres[region] + noise * random.standard_normal((side * side, 5)), positions


def curve(gain: list[float], stability: list[float], se: float = 0.01, first: int = 2) -> pd.DataFrame:
    numbers = np.arange(first, first + len(gain))
    return pd.DataFrame({"n_domains": numbers, "stability": stability, "se": se, "gain": gain, "gain_se": 0.1})


@pytest.mark.slow
@pytest.mark.parametrize("n_regions", [3, 5])
def test_planted_regions_are_counted(n_regions: int) -> None:
    embedding, positions = stripes(n_regions, 0.5)
    found = stability_curve([embedding, embedding], positions, range(2, 9))
    assert found["n_domains"].tolist() == list(range(2, 9))
    at = found.set_index("n_domains").loc[n_regions]
    assert at["stability"] > 0.99 and at["gain"] > 0.85 * found["gain"].max()
    choice = choose_number(found)
    assert choice.n_domains == n_regions and choice.runner_up != n_regions and not choice.flat


def test_noise_is_called_flat() -> None:
    embedding = np.random.default_rng(0).standard_normal((400, 4))
    positions = np.argwhere(np.ones((20, 20))).astype(float)
    assert choose_number(stability_curve([embedding], positions, range(2, 7))).flat


def test_one_seed_gives_one_curve() -> None:
    embedding, positions = stripes(3, 0.5, side=20)
    first, second, other = (stability_curve([embedding], positions, [2, 3], seed) for seed in (4, 4, 5))
    assert first.equals(second) and not first.equals(other)


def test_few_spots_try_few_numbers() -> None:
    embedding, positions = np.random.default_rng(0).standard_normal((35, 2)), np.argwhere(np.ones((5, 7)))
    assert stability_curve([embedding], positions, range(2, 13))["n_domains"].tolist() == [2, 3]
    with pytest.raises(EfnstError, match=r"found 19 spots\. Give n_domains\."):
        stability_curve([embedding[:19]], positions[:19], range(2, 13))


def test_the_smallest_number_with_most_of_the_gain() -> None:
    """Of 4.8, the best gain, five sixths are 4: reached by 5 domains, not by 4."""
    gain, just_below = [1, 2, 3, 4, 4.2, 4.8, 4.7], [1, 2, 3, 3.99, 4.2, 4.8, 4.7]
    steady = [0.95, 0.7, 0.9, 0.8, 0.7, 0.6, 0.6]
    assert choose_number(curve(gain, steady)) == NumberOfDomains(5, 4, False, True)
    assert choose_number(curve(just_below, steady)).n_domains == 6
    assert choose_number(curve(gain[::-1], steady[::-1]).assign(n_domains=range(8, 1, -1))).n_domains == 5


def test_columns_that_tell_nothing_do_not_change_the_choice() -> None:
    """Three regions in 5 columns, and 200 of noise beside them, too narrow to be among the first components.

    Fitted all together, the noise would cost more domains a third of the gain.
    """
    embedding, positions = stripes(3, 0.5)
    noise = 0.4 * np.random.default_rng(2).standard_normal((len(positions), 200))
    found = stability_curve([np.hstack([noise, embedding])], positions, range(2, 7))
    assert choose_number(found).n_domains == 3
    assert found["gain"].iloc[-1] > 0.95 * found["gain"].max()


def test_flat_curves() -> None:
    gain = [1, 2, 3, 3.1, 3.2]
    assert not choose_number(curve(gain, [0.5, 0.6, 0.9, 0.6, 0.5])).flat
    assert choose_number(curve(gain, [0.89, 0.89, 0.9, 0.6, 0.5])).flat, "three of five are as stable"
    assert choose_number(curve([1, 2, 3, 4, 5], [0.5, 0.5, 0.5, 0.5, 0.9])).flat, "the largest tried"
    assert choose_number(curve([0.05, 0.06, 0.15, 0.16, 0.17], [0.5, 0.6, 0.9, 0.6, 0.5])).flat, "gain within 2 errors"
    assert choose_number(curve([3.0], [0.9])) == NumberOfDomains(2, None, False, True)


def test_where_no_number_is_supported_the_smallest_near_the_best() -> None:
    """Gains of noise: the most stable, 5, and the best, 4, are passed over for the smallest within an error of 0.1."""
    stability = [0.5, 0.5, 0.5, 0.9]
    assert choose_number(curve([-0.05, -0.2, 0.02, -0.3], stability)) == NumberOfDomains(2, 3, True, False)
    assert choose_number(curve([-0.5, -0.05, 0.02, -0.3], stability)) == NumberOfDomains(3, 2, True, False)
    assert choose_number(curve([-0.5, -0.05, 0.25, 0.1], stability)).supported
