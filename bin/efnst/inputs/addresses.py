"""Addresses can hold what nobody else may see: `user:password@`, or a signature after the `?`.

It is cut out where a samplesheet is read; modules/local/addresses.nf does the same for what Nextflow writes.
"""

import re

CUT = "***"
USER = re.compile(r'([A-Za-z][A-Za-z0-9+.-]*://)[^/\s"]*@')
QUERY = re.compile(r"""([A-Za-z][A-Za-z0-9+.-]*://[^\s"',;?]*)\?([^\s"',;]|[,;'](?=[^\s"',;]*[&=]))*""")


def without_secrets(text: str) -> str:
    """`text` with `***` in the place of passwords and queries of the addresses in it."""
    return QUERY.sub(rf"\1?{CUT}", USER.sub(rf"\1{CUT}@", text))


def was_cut(address: str) -> bool:
    """Whether an address held a password or a query."""
    return "://" in address and (f"{CUT}@" in address or f"?{CUT}" in address)
