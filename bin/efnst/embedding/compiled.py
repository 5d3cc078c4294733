"""How loops of the learning step are compiled."""

from collections.abc import Callable

import numba


def compiled(function: Callable) -> Callable:
    """`function` compiled by numba when it is first called, and kept for later processes where a folder can be written.

    Division is NumPy's: to look for zeros at each one keeps a loop from using vectors and takes six times as long. No
    `fastmath`, so that every CPU rounds alike.
    """
    how = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **how)(function)
    except RuntimeError:  # numba found no folder for its cache
        return numba.njit(**how)(function)
