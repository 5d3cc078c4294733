"""Characters that the usual font of figures lacks: drawn by another font of the machine, or told of."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from matplotlib.font_manager import FontProperties, findfont, fontManager

from efnst.exports.fonts import further_fonts

CORTEX = "大脑皮层"


def write_font(path: Path, name: str, characters: str) -> None:
    """A font that draws `characters`, and nothing else, as DejaVu Sans draws A."""
    font = TTFont(findfont(FontProperties(family=["DejaVu Sans"])))
    for table in font["cmap"].tables:
        table.cmap = {ord(character): "A" for character in characters} if table.isUnicode() else {}
    for record in font["name"].names:
        if record.nameID in (1, 4, 6, 16):
            record.string = name
    font.save(path)


@pytest.fixture
def fonts(tmp_path: Path) -> Iterator[None]:
    """Three more fonts on the machine; whatever else has these characters is not there."""
    before = list(fontManager.ttflist)
    fontManager.ttflist = [entry for entry in before if entry.name.startswith(("DejaVu", "Last Resort"))]
    for name, characters in {"Zh": CORTEX, "Part": CORTEX[:2] + "白", "Ja": "白質"}.items():
        write_font(tmp_path / f"{name}.ttf", name, characters)
        fontManager.addfont(tmp_path / f"{name}.ttf")
    yield
    fontManager.ttflist = before


@pytest.mark.usefixtures("fonts")
def test_fonts_with_most_of_what_is_missing_come_first() -> None:
    assert further_fonts(["L1 α µ é", "\t"]) == ([], "")
    assert further_fonts([CORTEX, "L1"]) == (["Zh"], "")
    assert further_fonts([CORTEX, "白質"]) == (["Zh", "Ja"], "")
    assert further_fonts(["白"]) == (["Ja"], "")  # of equal ones the first by name


@pytest.mark.usefixtures("fonts")
def test_what_no_font_has_is_told() -> None:
    assert further_fonts(["한 白"]) == (["Ja"], "한")
