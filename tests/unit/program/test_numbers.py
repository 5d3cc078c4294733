"""Numbers as text."""

import pytest

from efnst.program.numbers import beyond, plain, with_error


@pytest.mark.parametrize(
    ("value", "limit", "digits", "said"),
    [
        (49.96, 50, 2, "49.96"),
        (12.3, 50, 2, "12"),
        (9.25, 10, 4, "9.25"),
        (1234.5678, 2000, 2, "1235"),
        (0.99899, 0.999, 4, "0.99899"),
        (-0.30001, -0.3, 4, "-0.30001"),
        (0.1 + 0.2, 0.3, 4, "0.30000000000000004"),
        (float("nan"), 0.9, 4, "nan"),
    ],
)
def test_a_value_beyond_a_limit_is_not_rounded_to_it(value: float, limit: float, digits: int, said: str) -> None:
    assert beyond(value, limit, digits) == said


def test_limits_have_all_their_digits() -> None:
    assert [plain(value) for value in (0.8, 10, 1e6, 10000.4)] == ["0.8", "10", "1000000", "10000.4"]


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        (-1.6e-5, 9e-6, ("-0.000016", "0.000009")),
        (0.01234, 0.0021, ("0.0123", "0.0021")),
        (-0.00001, 0.002, ("0.0000", "0.0020")),
        (0.5, 0.5, ("0.5000", "0.5000")),
        (-1e-12, 1e-13, ("0.0000000", "0.0000000")),
        (0.25, 0.0, ("0.2500", "0.0000")),
    ],
)
def test_a_value_has_the_decimals_of_its_error(value: float, error: float, said: tuple[str, str]) -> None:
    assert with_error(value, error) == said
