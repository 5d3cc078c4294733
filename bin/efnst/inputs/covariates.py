"""Columns of the samplesheet that are not ours: covariates of the sections, unless they look like a column misspelt."""

import math
import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from efnst.inputs.missing import is_missing
from efnst.inputs.one_line import EXPECTED, is_one_line
from efnst.inputs.spelling import DIFFERENCES, spelt_alike
from efnst.program.parameters import show, suggestion

NEAR = 0.8  # likeness of two names from which one is taken for a slip of the other; `age` is 0.75 from `image`
NAME = re.compile(r"[^\W\d_]\w{0,49}")  # what formulas of R and Python take without quotes
OF_TABLES = ("n_spots", "share", "section_status", "total_counts")  # columns of the cohort's tables, beside our own
DECIMAL_COMMA = re.compile(r"[+-]?\d*,?\d+(e[+-]?\d+)?", re.IGNORECASE)
OTHERWISE = re.compile(r"[+-]?(\d{1,3}([\s'’.,]\d{3})+|\d*)([.,]\d+)?\s*%?")  # 1,5 and 1 200 and 10%, no dates
LEAST_TESTED = 4  # sections; fewer are not tested by any covariate
SHOWN = 3  # values that a warning names


def covariate_columns(columns: list[str], known: list[str]) -> list[str]:
    """The columns that are covariates: named like none of the `known` ones, in a way that formulas take."""
    return [name for name in dict.fromkeys(columns) if name not in known and not _name_problem(name, known)]


def column_name_problems(columns: list[str], known: list[str]) -> list[str]:
    """One line for each column that is neither one of the `known` ones nor fit to be a covariate."""
    others = [name for name in dict.fromkeys(columns) if name not in known]
    return [f"column {name}: {problem}" for name in others if (problem := _name_problem(name, known))]


def covariate_problems(where: str, cells: dict[str, str], known: list[str]) -> list[str]:
    """One line for each value of a row, but for the `known` columns, that no table should hold."""
    return [
        f"{where}, column {name}: found {show(value)}, expected {EXPECTED}; shorten it"
        for name, value in cells.items()
        if name not in known and not is_one_line(value)
    ]


def with_decimal_points(rows: Sequence[dict[str, str]], names: Sequence[str]) -> list[dict[str, str]]:
    """The cells of the rows, with `1.5` for `1,5` in the columns among `names` that hold nothing but such numbers."""
    known = {name: [row[name] for row in rows if not is_missing(row.get(name, ""))] for name in names}
    spelt = {name for name, values in known.items() if all(map(DECIMAL_COMMA.fullmatch, values))}
    return [{name: value.replace(",", ".") if name in spelt else value for name, value in row.items()} for row in rows]


def covariate_warnings(sections: Sequence[dict]) -> list[str]:
    """What the user should know of `group` and `covariates` of the sections, each as in sections.json."""
    rows = [section["covariates"] for section in sections]
    columns = {name: [row[name] for row in rows if not is_missing(row[name])] for name in (rows[0] if rows else ())}
    groups = [section["group"] for section in sections if not is_missing(section["group"])]
    found = [_no_numbers(name, values) for name, values in columns.items()]
    found += [_spelt_in_ways(name, values) for name, values in ({"group": groups} | columns).items()]
    return [*filter(None, found), *_never_alike(columns)]


def _no_numbers(name: str, values: list[str]) -> str:
    """A warning of a covariate where a text, or a number spelt in another way, makes levels of numbers; else empty."""
    texts = [value for value in values if not _is_number(value)]
    few = len(texts) < len(values) / 2
    if not texts or not (few or all(map(OTHERWISE.fullmatch, texts))):
        return ""
    shown = ", ".join(show(value) for value in dict.fromkeys(texts[:SHOWN])) + " where most values are numbers" * few
    return (
        f"column {name}: found {shown}, which makes all of them levels; expected numbers such as 1.5, or nothing; "
        "correct them"
    )


def _spelt_in_ways(name: str, values: list[str]) -> str:
    """A warning of a column with levels that look like one in several spellings, empty where there are none."""
    alike = [] if all(map(_is_number, values)) else spelt_alike(values)
    found = "; ".join(" and ".join(map(show, spellings)) for spellings in alike)
    if not found:
        return ""
    return (
        f"column {name}: found {found}, which differ in {DIFFERENCES} only and are levels of their own; spell them "
        "alike if they are one"
    )


def _never_alike(columns: dict[str, list[str]]) -> list[str]:
    """A warning of the columns of text that can be tested in no run, since no two sections have the same value."""
    names = [
        name
        for name, values in columns.items()
        if len(values) == len(set(values)) >= LEAST_TESTED
        and not all(map(_is_number, values))
        and not _no_numbers(name, values)
    ]
    if not names:
        return []
    each = "columns" if len(names) > 1 else "column"
    return [
        f"{each} {', '.join(names)}: no two sections have the same value, so that nothing is tested against "
        f"{'them' if len(names) > 1 else 'it'}; give numbers without units, or levels that several sections have, if "
        "something should be"
    ]


def _is_number(value: str) -> bool:
    """Whether a text is a finite number."""
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _name_problem(name: str, known: list[str]) -> str:
    """What is wrong with the name of a covariate; empty if nothing is."""
    if any(_is_near(name, own) for own in known):
        return f"not known{suggestion(name, known)}"
    if not NAME.fullmatch(name) or name in OF_TABLES:
        return (
            "expected letters, digits and _ in the name of a covariate, from a letter on, at most 50 of them, and none "
            f"of {', '.join(OF_TABLES)}, which the tables of the cohort have; rename it"
        )
    return ""


def _is_near(name: str, own: str) -> bool:
    """Whether a name is so like one of ours, as a whole or in its first word, that it may be meant for it."""
    firsts = name.split("_")[0], own.split("_")[0]
    pairs = [(name, own)] + [firsts] * (len(firsts[1]) > 1)
    return any(SequenceMatcher(None, *pair).ratio() >= NEAR for pair in pairs)
