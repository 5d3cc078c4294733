#!/usr/bin/env python3
"""Lists of jars with hashes: `lock` writes one, `fetch` downloads what it lists. Needs requirements/jgo.txt.

A line of a list is `group:artifact:version sha256`.
"""

import argparse
import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from jgo.maven import MavenContext

DESCRIPTION = __doc__.splitlines()[0]


def lock(maven: MavenContext, coordinates: list[str], excluded: list[str]) -> None:
    """Print the list for `coordinates` and all they need at run time, without what needs only `excluded`.

    The "!" tells jgo to take a coordinate as it is; without it, it would also be read as a table of versions.
    """
    exclusions = [maven.project(*name.split(":")) for name in excluded]
    inputs = [maven.create_dependency(f"{coordinate}!", exclusions) for coordinate in coordinates]
    resolved, transitive = maven.resolver.resolve(inputs)
    kept = {"compile", "runtime", None}
    artifacts = {str(jar): jar for jar in [*resolved, *transitive] if jar.scope in kept and not jar.optional}.values()
    for jar in sorted(artifacts, key=lambda jar: (jar.groupId, jar.artifactId)):
        print(f"{jar.groupId}:{jar.artifactId}:{jar.version} {_sha256(jar.artifact.resolve())}")


def fetch(maven: MavenContext, jars: Path, folder: Path) -> None:
    """Download every jar of the list `jars` into `folder`; a jar with another hash stops the program."""
    lines = [line.split() for line in jars.read_text().splitlines() if line]
    for number, (coordinate, expected) in enumerate(lines, start=1):
        if sys.stderr.isatty():
            print(f"\r\033[K{number}/{len(lines)} {coordinate}", end="", file=sys.stderr, flush=True)
        jar = maven.create_dependency(coordinate).artifact.resolve()
        found = _sha256(jar)
        if found != expected:
            sys.exit(f"Expected {coordinate} with sha256 {expected} ({jars}), found {found}: refused.")
        shutil.copy(jar, folder)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True)
    locking = commands.add_parser("lock", help="print a list of jars")
    locking.add_argument("coordinates", nargs="+", help="group:artifact:version")
    locking.add_argument("--exclude", action="append", default=[], help="group:artifact to leave out")
    fetching = commands.add_parser("fetch", help="download the jars of a list")
    fetching.add_argument("jars", type=Path)
    fetching.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as repository:
        maven = MavenContext(repo_cache=Path(repository), timeout=60)
        if arguments.command == "lock":
            lock(maven, arguments.coordinates, arguments.exclude)
        else:
            fetch(maven, arguments.jars, arguments.folder)


if __name__ == "__main__":
    main()
