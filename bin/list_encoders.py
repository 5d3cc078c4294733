#!/usr/bin/env python3
"""List the published encoders that there is a recipe for: `./efnst encoder list`."""

import typer

from efnst.program.cli import run


def main() -> None:
    """Print the recipes known: name, licence, whether weights are had on request, scale, size, and where they are."""
    from efnst.encoder.recipes import RECIPES, read_recipes, table

    typer.echo(table(read_recipes(RECIPES).values()))


if __name__ == "__main__":
    run(main)
