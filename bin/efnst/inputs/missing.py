"""How tables say that a value is not known."""

MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none"})  # of spreadsheets, R, pandas and Python


def is_missing(value: str) -> bool:
    """Whether a text stands for no value, in any case of letters."""
    return value.lower() in MISSING
