"""The shape of the code: functions that do one thing, and files with one purpose."""

import ast
from pathlib import Path
from statistics import median

from tests.support.places import BIN, PROJECT

LONGEST_FUNCTION = 50  # lines from def to the last one, with the docstring
LONGEST_FILE = 400
WRITTEN_BY_HAND = (".py", ".nf", ".sh", ".js", ".html", ".css")
FOLDERS = ("bin", "tests", "bench", "assets", "modules", "containers", "requirements")


def lengths() -> dict[str, int]:
    """Lines of every function of the library and the programs, by file and name."""
    return {
        f"{path.relative_to(BIN)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path in sorted(BIN.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def files() -> list[Path]:
    """Every file of code that is written by hand."""
    below = [path for folder in FOLDERS for path in (PROJECT / folder).rglob("*")]
    return [PROJECT / "main.nf", PROJECT / "efnst", *(path for path in below if path.suffix in WRITTEN_BY_HAND)]


def test_no_function_is_too_long_to_be_seen_at_once() -> None:
    assert {name: lines for name, lines in lengths().items() if lines > LONGEST_FUNCTION} == {}


def test_most_functions_are_short() -> None:
    lines = sorted(lengths().values())
    assert median(lines) <= 8
    assert lines[int(0.9 * len(lines))] <= 20


def test_no_file_is_too_long_to_have_one_purpose() -> None:
    found = {path.relative_to(PROJECT): len(path.read_text().splitlines()) for path in files()}
    assert {path: lines for path, lines in found.items() if lines > LONGEST_FILE} == {}
