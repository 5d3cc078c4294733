"""Recipes of published encoders: each file fits, and what the list shows."""

from pathlib import Path

import pytest
import yaml
from tests.support.places import PROJECT

from efnst.encoder.recipes import Recipe, read_recipes, recipe_named, table
from efnst.errors import EfnstError

FOLDER = PROJECT / "assets" / "encoders"
FILES = sorted(FOLDER.glob("*.yml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_recipe_fits(path: Path) -> None:
    recipe = Recipe.model_validate(yaml.safe_load(path.read_text()))
    assert path.stem == recipe.name.lower().replace("-", "_")
    assert recipe.input_px == recipe.arguments["img_size"]
    assert recipe.n_features % 2 == 0 and recipe.source.count("/") == 1
    assert recipe.commercial or not recipe.licence.startswith("MIT")
    assert not (recipe.commercial and "NC" in recipe.licence)


def test_a_recipe_is_found_however_it_is_written() -> None:
    recipes = read_recipes(FOLDER)
    assert len(recipes) == len(FILES) > 5
    assert recipe_named(recipes, "h-OPTIMUS-0").source == "bioptimus/H-optimus-0"
    with pytest.raises(EfnstError, match=r"Expected one of .*UNI.*`timm:ARCHITECTURE`.*found `UNI3`"):
        recipe_named(recipes, "UNI3")


def test_the_list_shows_terms_and_scale() -> None:
    lines = table(read_recipes(FOLDER).values()).splitlines()
    assert len(lines) == len(FILES) + 1
    (line,) = (line for line in lines if line.startswith("Virchow "))
    assert line.split()[1:5] == ["Apache-2.0", "yes", "on", "request"]
    assert line.split()[5:] == ["224", "0.5", "2560", "(both)", "631", "M", "paige-ai/Virchow"]


def test_a_recipe_with_a_field_too_many_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(FILES[0].read_text() + "colour: blue\n")
    with pytest.raises(EfnstError, match=r"Expected `a\.yml` to be the recipe of an encoder.*colour"):
        read_recipes(tmp_path)
