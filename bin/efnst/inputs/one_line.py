"""Which texts may name a group, a level of a covariate or a label: what tables, figures and files can carry on."""

import re

LONGEST = 200  # characters
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # also ends of lines, halves of letters
EXPECTED = f"a single line of at most {LONGEST} characters"


def is_one_line(text: str) -> bool:
    """Whether a text is what is `EXPECTED`, without control characters."""
    return len(text) <= LONGEST and not UNPRINTABLE.search(text)
