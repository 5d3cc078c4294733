"""What numba compiles, made for any CPU of this kind, so that an image can bring it compiled."""

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path


def compile_for_any_cpu() -> None:
    """To be called before numba is imported: nothing is compiled for this very CPU, and what the image brings is used.

    UMAP sums in an order that depends on the CPU otherwise, so that each kind of CPU draws another layout; and to
    compile it takes half a minute, which is most of a small section. An image (containers/compile.py) brings it in
    $EFNST_COMPILED; numba reads only folders that it can write to, so it is copied to $NUMBA_CACHE_DIR.
    """
    if "numba" in sys.modules:
        return
    os.environ.setdefault("NUMBA_CPU_NAME", "generic")
    os.environ.setdefault("NUMBA_CPU_FEATURES", "")
    brought, cache = os.environ.get("EFNST_COMPILED"), os.environ.get("NUMBA_CACHE_DIR")
    if brought and cache and not Path(cache).exists():
        with suppress(OSError):  # then numba finds no folder either, and compiles
            shutil.copytree(brought, cache, copy_function=shutil.copyfile)
