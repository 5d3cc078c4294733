"""The optimiser, against PyTorch's own."""

import math

import pytest
import torch

from efnst.embedding.adam import Adam


@pytest.mark.parametrize("longest", [0.01, 5.0, math.inf])
def test_steps_are_those_of_pytorch(longest: float) -> None:
    ours, theirs = ([torch.linspace(-1, 1, n).requires_grad_() for n in (3, 40)] for _ in range(2))
    expected = torch.optim.Adam(theirs, 0.01, weight_decay=1e-4, fused=True)
    optimiser = Adam(ours, 0.01, 1e-4, longest)
    for _ in range(5):
        for parameters, each in ((theirs, expected), (ours, optimiser)):
            each.zero_grad()
            sum((parameter**4).sum() * n for n, parameter in enumerate(parameters, 1)).backward()
        torch.nn.utils.clip_grad_norm_(theirs, longest)
        expected.step()
        optimiser.step()
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
