#!/usr/bin/env python3
"""Write the files, and the parts of files, that are made from others: `./efnst generate`; with --check only name the stale ones.

The parameters come from nextflow_schema.json, the version from manifest.version in nextflow.config, the tables of the
files between the steps from bin/efnst/records/.
"""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "bin"))

from efnst.program.parameters import markdown_table, read_schema
from efnst.records.markdown import file_tables

SCHEMA = Path("nextflow_schema.json")
Made = Callable[[Path], str]  # from the project's folder to the whole text of the file


def version(project: Path) -> str:
    """bin/efnst/__init__.py with the version of the manifest."""
    config = (project / "nextflow.config").read_text(encoding="utf-8")
    number = re.search(r"^ *version = '(.+)'$", config, re.MULTILINE).group(1)
    return (
        f'"""Spatial domains of Visium sections with EfNST."""\n\n__version__ = "{number}"  # written by `./efnst generate`\n'
    )


def library_schema(project: Path) -> str:
    """The schema of the parameters, verbatim: of the project only bin/ is sure to reach a task."""
    return (project / SCHEMA).read_text(encoding="utf-8")


def usage(project: Path) -> str:
    """docs/usage.md with its tables of parameters."""
    return between(project / "docs" / "usage.md", "parameters", markdown_table(read_schema(project / SCHEMA)))


def architecture(project: Path) -> str:
    """docs/architecture.md with its tables of the files between the steps."""
    return between(project / "docs" / "architecture.md", "files", file_tables())


def between(path: Path, name: str, content: str) -> str:
    """The text of a Markdown file with `content` between its lines `<!-- NAME: … -->` and `<!-- end of NAME -->`."""
    text = path.read_text(encoding="utf-8")
    start, end = re.search(rf"^<!-- {name}: .*-->\n", text, re.MULTILINE), f"<!-- end of {name} -->\n"
    return f"{text[: start.end()]}\n{content}\n{text[text.index(end, start.end()) :]}"


GENERATED: dict[str, Made] = {
    "bin/efnst/__init__.py": version,
    "bin/efnst/program/nextflow_schema.json": library_schema,
    "docs/architecture.md": architecture,
    "docs/usage.md": usage,
}


def stale(project: Path) -> dict[str, str]:
    """The files that are not what they should be, and what they should be."""
    made = {name: make(project) for name, make in GENERATED.items()}
    paths = {name: project / name for name in made}
    return {
        name: text
        for name, text in made.items()
        if not paths[name].exists() or paths[name].read_text(encoding="utf-8") != text
    }


def main() -> None:
    """Write what is stale, or with --check only name it and end with status 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 where something is stale")
    check = parser.parse_args().check
    found = stale(PROJECT)
    for name, text in found.items():
        print(f"{name} {'is stale: run ./efnst generate' if check else 'written'}")
        if not check:
            (PROJECT / name).write_text(text, encoding="utf-8")
    sys.exit(1 if check and found else 0)


if __name__ == "__main__":
    main()
