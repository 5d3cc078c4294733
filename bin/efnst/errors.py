"""The one exception type for what a user can cause."""

from collections.abc import Iterable


class EfnstError(Exception):
    """Bad input or options: the message says what was found, what was expected and what to do."""


def check_choice(name: str, value: str, allowed: Iterable[str]) -> None:
    """Raise an `EfnstError` unless the option `name` has one of the `allowed` values."""
    if value not in allowed:
        raise EfnstError(f"Expected {name} to be one of {', '.join(allowed)}, found `{value}`.")
