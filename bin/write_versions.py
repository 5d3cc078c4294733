#!/usr/bin/env python3
"""Print the versions that a process ran with, as one entry of versions.yml."""

from pathlib import Path
from typing import Annotated

import typer

from efnst.program.cli import run


def main(
    process: Annotated[str, typer.Argument(help="Name of the process.")],
    used: Annotated[str, typer.Argument(help="The program of bin/ it runs, or a package.")],
) -> None:
    """Print the versions of what a process ran with, all that its program imports, as one entry of versions.yml."""
    from efnst.program.cli import versions
    from efnst.program.imports import packages_of

    packages = packages_of(Path(__file__).with_name(used)) if used.endswith(".py") else [used]
    print(f'"{process}":')
    for name, number in versions(*packages).items():
        print(f"  {name}: {number}")


if __name__ == "__main__":
    run(main)
