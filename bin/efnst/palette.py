"""Colours of domains and of values: colour-blind safe, the same domain the same colour everywhere."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from efnst.names import BASELINES, DOMAIN, LABEL, NOVEL_DOMAIN
from efnst.pairing import contingency, partners

# Okabe and Ito's seven, then each the colour farthest (CIELAB) from all before it, as seen with normal vision,
# protanopia, deuteranopia and tritanopia (Machado 2009): any two of the 24 differ by at least 13 in each of them.
DOMAIN_COLOURS = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#8700f0"),
    *("#691e4b", "#3c4b1e", "#a5e187", "#9678ff", "#3c1ea5", "#e1004b", "#00f0ff", "#a50087"),
    *("#b4a54b", "#ffc3c3", "#a54b78", "#694bc3", "#87f069", "#4b784b", "#ff4b78", "#a53c00"),
)
MISSING = "#d9d9d9"  # no label
NOVEL = "#595959"  # tissue that a reference does not have
VIRIDIS = "#440154 #472d7b #3b528b #2c728e #21918c #28ae80 #5ec962 #addc30 #fde725"
VALUE_COLOURS = tuple(VIRIDIS.split())


def domain_colour(number: int) -> str:
    """Colour of domain `number` (1, 2, …). Past 24 the colours come back darker, round by round; 0 is no domain."""
    if number == NOVEL_DOMAIN:
        return NOVEL
    turn, position = divmod(number - 1, len(DOMAIN_COLOURS))
    channels = [int(DOMAIN_COLOURS[position][start : start + 2], 16) for start in (1, 3, 5)]
    return "#" + "".join(f"{round(channel * 0.7**turn):02x}" for channel in channels)


def colours_of(names: Iterable[str]) -> list[str]:
    """Colours of the domains with these numbers, which need not be all of them."""
    return [domain_colour(int(name)) for name in names]


def domain_colours(n_domains: int) -> list[str]:
    """Colours of domains 1…n_domains."""
    return [domain_colour(number) for number in range(1, n_domains + 1)]


def division_colours(groups: pd.Categorical, domains: pd.Categorical, is_numbered: bool) -> list[str]:
    """Colours of the categories of another division of the spots, next to those of the domains.

    The baselines are numbered like the domains they match and take their colours; labels have no numbers and take the
    colours of the domains that they are paired with.
    """
    if is_numbered:
        return colours_of(groups.categories)
    numbers = np.array([int(name) for name in domains.categories] + [0])  # the last one for a spot without domain
    return matched_colours(groups.codes, numbers[domains.codes] - 1, len(groups.categories), int(numbers.max()))


def scanpy_colours(obs: pd.DataFrame) -> dict[str, np.ndarray]:
    """What scanpy looks for in uns: the colours of the domains, the baselines and the labels in `obs`, by its names."""
    found = {}
    for key in (DOMAIN, *BASELINES, LABEL):
        if key in obs:
            groups, domains = (obs[name].astype("category").array for name in (key, DOMAIN))
            colours = division_colours(groups, domains, is_numbered=key != LABEL)
            found[f"{key}_colors"] = np.array(colours, dtype=object)
    return found


def matched_colours(codes: np.ndarray, domain_codes: np.ndarray, n_groups: int, n_domains: int) -> list[str]:
    """Colours for another division of the same spots: each group takes that of the domain it is paired with.

    codes, domain_codes: int [n_spots], -1 for none. Groups without a partner take colours that no domain has.
    """
    both = (codes >= 0) & (domain_codes >= 0)
    shared = contingency(codes[both], domain_codes[both], (n_groups, n_domains))
    return [domain_colour(int(number) + 1) for number in partners(shared)]
