"""Recipes of published networks, assets/encoders/: one file for each, which says all that an export needs to know."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import yaml
from pydantic import ValidationError

from efnst.errors import EfnstError
from efnst.program.documents import document_text, load_yaml
from efnst.records.base import Record, about
from efnst.records.encoder import Colours, Count, Deviations, InputPx, Line, Name, Scale

RECIPES = Path(__file__).resolve().parents[3] / "assets" / "encoders"


class Recipe(Record):
    """A published network."""

    name: Name = about("as its authors call it")
    architecture: Name = about("of timm")
    arguments: dict[str, bool | int | float | str] = about("of the architecture, where they differ from timm's")
    input_px: InputPx = about("width of its images", "px")
    um_per_px: Scale = about("scale of the images that it was trained on", "µm per px")
    mean: Colours = about("subtracted from colours of 0 to 1", shape="[3]")
    std: Deviations = about("divides what is left", shape="[3]")
    pooling: Literal["class", "mean", "both"] = about("which tokens are its features, as its authors say")
    n_features: Count = about("features of a patch")
    parameters: Count = about("weights", "millions")
    licence: Line = about("of the weights")
    commercial: bool = about("whether it allows commercial use")
    gated: bool = about("whether its authors have to let one have the weights")
    source: Line = about("repository on the hub of Hugging Face")


COLUMNS = {
    "name": lambda each: each.name,
    "licence": lambda each: each.licence,
    "commercial use": lambda each: "yes" if each.commercial else "no",
    "weights": lambda each: "on request" if each.gated else "free",
    "px": lambda each: str(each.input_px),
    "µm per px": lambda each: f"{each.um_per_px:g}",
    "features": lambda each: f"{each.n_features} ({each.pooling})",
    "parameters": lambda each: f"{each.parameters} M",
    "source": lambda each: each.source,
}


def read_recipes(folder: Path) -> dict[str, Recipe]:
    """All recipes of a folder by name."""
    recipes = [_read(path) for path in sorted(folder.glob("*.yml"))]
    return {recipe.name: recipe for recipe in recipes}


def _read(path: Path) -> Recipe:
    """The recipe in one file."""
    try:
        return Recipe.model_validate(load_yaml(document_text(path), yaml.SafeLoader))
    except (ValidationError, yaml.YAMLError) as error:
        found = " ".join(str(error).split())
        raise EfnstError(f"Expected `{path.name}` to be the recipe of an encoder, found: {found}.") from error


def recipe_named(recipes: dict[str, Recipe], name: str) -> Recipe:
    """The recipe of this name, however it is written."""
    found = next((recipe for known, recipe in recipes.items() if known.casefold() == name.casefold()), None)
    if found is None:
        raise EfnstError(
            f"Expected one of {', '.join(recipes)}, `timm:ARCHITECTURE` or `torchscript:FILE`, found `{name}`. "
            "`./efnst encoder list` shows the recipes."
        )
    return found


def table(recipes: Iterable[Recipe]) -> str:
    """The recipes as text in columns."""
    rows = [list(COLUMNS), *([cell(recipe) for cell in COLUMNS.values()] for recipe in recipes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
