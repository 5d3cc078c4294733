"""Colours: distinct for any kind of colour vision, and the same domain the same colour."""

import numpy as np
import pytest

from efnst.palette import DOMAIN_COLOURS, domain_colour, domain_colours, matched_colours

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
WHITE = [0.95047, 1, 1.08883]


def lab(colours: list[str], vision: str) -> np.ndarray:
    """CIELAB of #rrggbb colours as they are seen."""
    rgb = np.array([[int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)] for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ np.array(VISION[vision]).T, 0, 1) @ np.array(TO_XYZ).T / WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(("n_domains", "least"), [(10, 16), (20, 14), (24, 13)])
def test_colours_are_told_apart(vision: str, n_domains: int, least: float) -> None:
    seen = lab(domain_colours(n_domains), vision)
    difference = np.linalg.norm(seen[:, None] - seen[None], axis=2)
    assert difference[np.triu_indices(n_domains, 1)].min() >= least


def test_a_domain_keeps_its_colour() -> None:
    assert domain_colours(5) == domain_colours(30)[:5] == list(DOMAIN_COLOURS[:5])
    assert len(set(domain_colours(100))) == 100
    assert domain_colour(25) != domain_colour(1)


def test_groups_take_the_colour_of_the_domain_they_share_spots_with() -> None:
    domains = np.array([0, 0, 0, 1, 1, 2, 2])
    codes = np.array([2, 2, 2, 0, 0, 1, -1])
    assert matched_colours(codes, domains, 3, 3) == [domain_colour(2), domain_colour(3), domain_colour(1)]


def test_groups_that_share_no_spot_with_a_domain_left_have_a_colour_of_their_own() -> None:
    domains, codes = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 0, 0])
    assert matched_colours(codes, domains, 3, 2) == [domain_colour(number) for number in (2, 1, 3)]
    assert matched_colours(np.array([0, 0, 1, -1, -1]), domains, 2, 2) == [domain_colour(1), domain_colour(3)]


def test_groups_left_over_take_colours_of_their_own() -> None:
    domains = np.array([0, 0, 0, 0])
    colours = matched_colours(np.array([0, 1, 1, 2]), domains, 3, 1)
    assert colours[1] == domain_colour(1)
    assert len(set(colours)) == 3
