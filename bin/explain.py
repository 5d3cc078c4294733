#!/usr/bin/env python3
"""How a result was made, and the command that repeats it."""

from pathlib import Path
from typing import Annotated

import typer

from efnst.program.cli import run

PROJECT = Path(__file__).resolve().parent.parent


def main(
    results: Annotated[
        list[Path], typer.Argument(help="Results of efnst: files, or folders of them.", metavar="RESULT…")
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Read inputs, reference and weights again: are they still the same?")
    ] = False,
    schema: Annotated[Path, typer.Option("--schema", help="Schema of the parameters.", show_default=False)] = PROJECT
    / "nextflow_schema.json",
) -> None:
    """Tell how a result was made: inputs, parameters, seed, versions and devices, and the command that repeats it."""
    from efnst.program.parameters import read_schema
    from efnst.provenance.explain import explain
    from efnst.provenance.origin import find_origin

    rules = read_schema(schema)
    for path in results:
        typer.echo(explain(find_origin(path), rules, check))


if __name__ == "__main__":
    run(main)
