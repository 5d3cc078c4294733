"""What a program imports: the modules of the library, one through another, and the packages that are not ours."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions
from pathlib import Path

OURS = "efnst"
OTHERWISE_CALLED = {"PIL": "pillow", "sklearn": "scikit-learn", "umap": "umap-learn", "yaml": "PyYAML"}
BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")  # of a statement: the statements in it
_all_distributions = cache(packages_distributions)


def packages_of(program: Path) -> list[str]:
    """Distributions, as the package index names them, of all that a program in bin/ and its library modules import.

    Imports for types only do not count. A module that no distribution is called like, and several have, stands for each
    of them, one that none has for itself.
    """
    modules = {name.partition(".")[0] for name in _all_imports(program)} - {OURS, *sys.stdlib_module_names}
    return sorted({distribution for name in modules for distribution in _distributions(name)}, key=str.lower)


def _distributions(module: str) -> list[str]:
    """The distributions that have a module: the one that is called like it, else all.

    To look through all that are installed takes a second, and every task asks.
    """
    try:
        return [metadata(OTHERWISE_CALLED.get(module, module))["Name"]]
    except PackageNotFoundError:
        return _all_distributions().get(module, [module])


def _all_imports(program: Path) -> set[str]:
    """Dotted names that a program imports, and those that the modules of the library among them import in turn."""
    found, files, seen = set(), [program], {program}
    while files:
        names = set(_imports(ast.parse(files.pop().read_text())))
        found |= names
        modules = {program.parent.joinpath(*name.split(".")).with_suffix(".py") for name in names}
        new = {path for path in modules if path.is_file()} - seen
        seen |= new
        files += new
    return found


def _imports(node: ast.AST) -> Iterator[str]:
    """Dotted names of the modules that are imported in the statements below a node, except for types only."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.module
    elif not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
        for blocks in BLOCKS:
            for child in getattr(node, blocks, ()):
                yield from _imports(child)
