"""The one exception type for what a user can cause."""


class EfnstError(Exception):
    """Bad input or options: the message says what was found, what was expected and what to do."""
