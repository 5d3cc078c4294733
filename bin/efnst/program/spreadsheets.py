"""Text in tables that people open in a spreadsheet, which takes what begins with `=`, `+`, `-` or `@` for a formula.

A formula can show or send what else is in the table, or start a program. An apostrophe before it makes it text. Only
text is changed, numbers are not; what begins with apostrophes and then such a sign gets one more, so that reading the
table takes back exactly what writing it did.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

FORMULA = re.compile(r"'*[=+\-@\t\r\n]")


def harmless(value: object) -> object:
    """A text that no spreadsheet computes; what is no text as it is."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def original(value: object) -> object:
    """What `harmless` was given."""
    return value[1:] if isinstance(value, str) and value.startswith("'") and FORMULA.match(value) else value


def harmless_table(table: "pd.DataFrame") -> "pd.DataFrame":
    """A table all of whose texts, those of its index included, are `harmless`."""
    return _changed(table, harmless)


def read_table(path: Path, **how: object) -> "pd.DataFrame":
    """A CSV that was made of a `harmless_table`, as it was before; a gene or a barcode may be called NA."""
    import pandas as pd

    return _changed(pd.read_csv(path, keep_default_na=False, **how), original)


def _changed(table: "pd.DataFrame", change: Callable[[object], object]) -> "pd.DataFrame":
    """A table with every text changed."""
    changed = table.copy()
    for name in table.select_dtypes(exclude="number").columns:
        changed[name] = table[name].map(change, na_action="ignore")
    return changed if changed.index.dtype.kind in "iu" else changed.rename(index=change)
