#!/usr/bin/env python3
"""Print the version of a package that a process ran with, as one entry of versions.yml."""

from typing import Annotated

import typer

from efnst.program.cli import run, versions_entry


def main(
    name: Annotated[str, typer.Argument(help="Name of the process.")],
    package: Annotated[str, typer.Argument(help="The package it runs. Programs of efnst take --process.")],
) -> None:
    """Print the version of a package that a process ran with, as one entry of versions.yml."""
    print(versions_entry(name, package), end="")


if __name__ == "__main__":
    run(main)
