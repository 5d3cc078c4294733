"""Numbers as text, with the digits that what is said of them needs."""

import numpy as np

MOST_DIGITS = 17  # that tell any two numbers apart
DECIMALS = 4, 7  # of a value with its error: usually, and at most


def plain(value: float) -> str:
    """A number with all its digits and no power of ten."""
    return np.format_float_positional(value, trim="-")


def beyond(value: float, limit: float, digits: int = 4) -> str:
    """`value`, which a text says to be beyond `limit`, with so many `digits` or as many as show that it is.

    Digits before the point are all there.
    """
    whole = len(f"{abs(value):.0f}")
    for precision in range(max(digits, whole), whole + MOST_DIGITS + 1):
        text = np.format_float_positional(value, precision=precision, fractional=False, trim="-")
        if np.sign(float(text) - limit) == np.sign(value - limit):
            break
    return text


def with_error(value: float, error: float) -> tuple[str, str]:
    """`value` and its standard `error` with four decimals, or as many as the first digit of the error takes."""
    usual, most = DECIMALS
    decimals = min(max(usual, int(-np.floor(np.log10(error)))), most) if error > 0 else usual
    return f"{round(value, decimals) + 0.0:.{decimals}f}", f"{error:.{decimals}f}"  # + 0.0: no -0.0
