"""Columns of the samplesheet that are not ours: covariates of the sections, unless they look like a column misspelt."""

import math
import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from efnst.inputs.missing import is_missing
from efnst.inputs.one_line import EXPECTED, is_one_line
from efnst.program.parameters import show, suggestion

NEAR = 0.8  # likeness of two names from which one is taken for a slip of the other; `age` is 0.75 from `image`
NAME = re.compile(r"[^\W\d_]\w{0,49}")  # what formulas of R and Python take without quotes
OF_TABLES = ("n_spots", "share", "total_counts")  # columns of the cohort's tables, beside our own
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


def mixed_covariates(rows: Sequence[dict[str, str]]) -> list[str]:
    """A warning for each covariate that is a number in most rows, and in a few a text that makes levels of them all."""
    found = []
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows if not is_missing(row[name])]
        texts = [value for value in values if not _is_number(value)]
        if 0 < len(texts) < len(values) / 2:
            shown = ", ".join(show(value) for value in dict.fromkeys(texts[:SHOWN]))
            found.append(
                f"column {name}: found {shown} where most values are numbers, which makes all of them levels; expected "
                "numbers such as 1.5, or nothing; correct them"
            )
    return found


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
