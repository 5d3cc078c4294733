"""How tables say that a value is not known."""

MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null"})  # of spreadsheets, R and pandas
OF_PYTHON = "None"


def is_missing(value: str) -> bool:
    """Whether a text stands for no value, in any case of letters; `none` is one, as of a treatment."""
    return value.lower() in MISSING or value == OF_PYTHON
