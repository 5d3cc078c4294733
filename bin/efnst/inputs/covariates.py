"""Columns of the samplesheet that are not ours: covariates of the sections, unless they look like a column misspelt."""

import re
from difflib import SequenceMatcher

from efnst.program.parameters import show, suggestion

NEAR = 0.8  # likeness of two names from which one is taken for a slip of the other; `age` is 0.75 from `image`
NAME = re.compile(r"[^\W\d_]\w{0,49}")  # what formulas of R and Python take without quotes
OF_TABLES = ("n_spots", "share", "total_counts")  # columns of the cohort's tables, beside our own
LONGEST_VALUE = 200  # characters
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def covariate_columns(columns: list[str], known: list[str]) -> list[str]:
    """The columns that are covariates: named like none of the `known` ones, in a way that formulas take."""
    return [name for name in dict.fromkeys(columns) if name not in known and not _name_problem(name, known)]


def column_name_problems(columns: list[str], known: list[str]) -> list[str]:
    """One line for each column that is neither one of the `known` ones nor fit to be a covariate."""
    others = [name for name in dict.fromkeys(columns) if name not in known]
    return [f"column {name}: {problem}" for name in others if (problem := _name_problem(name, known))]


def covariate_problems(where: str, cells: dict[str, str], known: list[str]) -> list[str]:
    """One line for each value of a row that no table should hold."""
    expected = f"expected a single line of at most {LONGEST_VALUE} characters; shorten it"
    return [
        f"{where}, column {name}: found {show(value)}, {expected}"
        for name, value in cells.items()
        if name not in known and (len(value) > LONGEST_VALUE or UNPRINTABLE.search(value))
    ]


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
