"""Damaged files are told from a machine that fails; our own mistakes: tests/hostile/test_mutated_files.py."""

import errno
from pathlib import Path

import pytest

from efnst.errors import EfnstError, each_read, reading

PLACE = Path("folder/a.csv")


@pytest.mark.parametrize("error", [ValueError("cut\n short"), EOFError(), OSError("truncated"), KeyError("matrix")])
def test_damage_is_told_as_such(error: Exception) -> None:
    with pytest.raises(EfnstError, match=r"complete a\.csv, found .*: copy the file again") as raised, reading(PLACE):
        raise error
    assert raised.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [MemoryError(), *(OSError(number, "") for number in (errno.EIO, errno.ENOMEM, errno.ENOSPC, errno.ESTALE))],
)
def test_what_the_machine_lacked_is_no_damage(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, reading(PLACE, Exception):
        raise error
    assert raised.value is error


@pytest.mark.parametrize("error", [AttributeError("typo"), NameError("typo"), TypeError("typo")])
def test_what_no_reader_raises_is_no_damage_unless_the_reader_is_known_for_it(error: Exception) -> None:
    with pytest.raises(type(error), match="typo"), reading(PLACE):
        raise error
    with pytest.raises(EfnstError), reading(PLACE, type(error)):
        raise error


def test_each_item_of_a_lazy_reader_may_be_the_damaged_one() -> None:
    items = each_read(PLACE, (1 / (2 - number) for number in range(4)))
    assert [next(items), next(items)] == [0.5, 1]
    with pytest.raises(EfnstError, match="division by zero"):
        next(items)
    assert list(each_read(PLACE, iter("ab"))) == ["a", "b"]


def test_a_mistake_in_what_is_made_of_an_item_is_no_damage() -> None:
    with pytest.raises(ValueError, match="ours"):
        for _ in each_read(PLACE, iter("ab")):
            raise ValueError("ours")
