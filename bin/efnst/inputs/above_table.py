"""What may stand above a table that people keep: comments, and the line by which Excel is told the separator."""

import re
from collections.abc import Iterable

SEPARATOR = re.compile(r'"?sep=([,;\t| ])"?[,;\t]*', re.IGNORECASE)
COMMENT = re.compile(r'"?#(\s|$)')  # `#barcode` may be the name of a column


def above_table(lines: Iterable[str]) -> tuple[int, str]:
    """How many of the first lines stand above a table, and the separator that one of them names; empty where none does.

    These are `sep=;` of Excel, comments (`# …`) and empty lines. No line behind the first of the table is looked at.
    """
    number, separator = 0, ""
    for line in lines:
        text = line.rstrip("\r\n")
        named = SEPARATOR.fullmatch(text)
        if not named and text.strip() and not COMMENT.match(text):
            break
        number, separator = number + 1, named[1] if named else separator
    return number, separator
