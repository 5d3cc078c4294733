#!/usr/bin/env python3
"""Print the versions that a process ran with, as one entry of versions.yml."""

from typing import Annotated

import typer

from efnst.program.cli import run


def main(
    process: Annotated[str, typer.Argument(help="Name of the process.")],
    packages: Annotated[list[str] | None, typer.Argument(help="Python packages it uses.")] = None,
) -> None:
    """Print the versions that a process ran with, as one entry of versions.yml."""
    from efnst.program.cli import versions

    print(f'"{process}":')
    for name, number in versions(*(packages or [])).items():
        print(f"  {name}: {number}")


if __name__ == "__main__":
    run(main)
