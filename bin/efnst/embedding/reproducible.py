"""How PyTorch is set while a program trains or infers, and set back afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def reproducible_torch(threads: int, seed: int) -> Iterator[None]:
    """One seed, a fixed number of threads, deterministic kernels, no denormal numbers (they are 60 times slower).

    Denormal numbers and the choice of kernels belong to the whole process: both are as usual again after the block.
    (`torch.use_deterministic_algorithms` would do the same and import PyTorch's compiler, two seconds of CPU.)
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    filled = torch.utils.deterministic.fill_uninitialized_memory
    mode = torch.get_deterministic_debug_mode()
    torch.set_flush_denormal(True)
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # no kernel reads what it has not written
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.utils.deterministic.fill_uninitialized_memory = filled
        torch.set_deterministic_debug_mode(mode)
