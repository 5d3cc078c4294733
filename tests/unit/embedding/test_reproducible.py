"""PyTorch's settings inside the block and after it."""

import pytest
import torch

from efnst.embedding.reproducible import reproducible_torch

SMALLEST = 2.0**-1074  # a denormal number


def represented() -> bool:
    """Whether arithmetic keeps denormal numbers."""
    return (torch.tensor(2 * SMALLEST, dtype=torch.float64) / 2).item() > 0


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this processor cannot flush denormal numbers")
def test_denormal_numbers_are_flushed_inside_the_block_only() -> None:
    with pytest.raises(RuntimeError), reproducible_torch(1, 0):
        assert not represented() and torch.are_deterministic_algorithms_enabled()
        raise RuntimeError
    assert represented() and not torch.are_deterministic_algorithms_enabled()


def test_the_seed_decides_what_is_drawn() -> None:
    drawn = []
    for seed in (1, 1, 2):
        with reproducible_torch(1, seed):
            drawn.append(torch.rand(3).tolist())
    assert drawn[0] == drawn[1] != drawn[2]
