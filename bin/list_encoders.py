#!/usr/bin/env python3
"""List the published encoders that there is a recipe for: `./efnst encoder list`."""

from pathlib import Path

import typer

from efnst.program.cli import run

RECIPES = Path(__file__).resolve().parent.parent / "assets" / "encoders"


def main() -> None:
    """Print the recipes known: name, licence, whether weights are had on request, scale, size, and where they are."""
    from efnst.encoder.recipes import read_recipes, table

    typer.echo(table(read_recipes(RECIPES).values()))


if __name__ == "__main__":
    run(main)
