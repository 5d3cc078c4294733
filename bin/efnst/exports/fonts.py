"""Fonts for text with characters that the usual one of figures lacks, such as Chinese or Japanese labels."""

from collections.abc import Iterable
from functools import cache

from matplotlib.font_manager import FontEntry, FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font

NO_GLYPHS = "Last Resort"  # matplotlib's own: a box with a number for every character
REGULAR = {"style": "normal", "weight": 400, "stretch": "normal"}


def further_fonts(texts: Iterable[str]) -> tuple[list[str], str]:
    """Installed fonts that draw what the usual one lacks of `texts`, by name, and the characters that none has.

    The first is the one with most of these characters, of equal ones the first by name; and so on for what is left.
    """
    missing = {character for text in texts for character in text if not character.isspace()}
    missing -= _drawn_by(findfont(FontProperties(family=["sans-serif"])))
    found = []
    while missing:
        covered = {entry.name: missing & _drawn_by(entry.fname) for entry in _installed()}
        best = max(sorted(covered), key=lambda name: len(covered[name]), default="")
        if not covered.get(best):
            break
        found.append(best)
        missing -= covered[best]
    return found, "".join(sorted(missing))


def _installed() -> list[FontEntry]:
    """Upright fonts of usual weight with outlines that are on the machine."""
    regular = (entry for entry in fontManager.ttflist if all(getattr(entry, key) == REGULAR[key] for key in REGULAR))
    return [entry for entry in regular if entry.size == "scalable" and not entry.name.startswith(NO_GLYPHS)]


@cache  # what is missing is asked of all fonts, for each that is found, and once to draw and once to tell
def _drawn_by(path: str) -> frozenset[str]:
    """The characters that a font file has glyphs for."""
    return frozenset(map(chr, FT2Font(path).get_charmap()))
