"""Deep embedded clustering, by hand."""

import math

import pytest
import torch

from efnst.embedding.deep_clustering import clustering_loss, soft_assignment, target_distribution


def test_soft_assignment_by_hand() -> None:
    """Squared distances 0 and 4 give 1 and 1/5, so 5/6 and 1/6; 1 and 1 give a half each."""
    q = soft_assignment(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 0.0], [2.0, 0.0]]))
    assert q.tolist() == [pytest.approx([5 / 6, 1 / 6]), pytest.approx([0.5, 0.5])]


def test_target_distribution_by_hand() -> None:
    """Column sums 1.2 and 0.8: 0.64/1.2 and 0.04/0.8 in the first row, 0.16/1.2 and 0.36/0.8 in the second."""
    p = target_distribution(torch.tensor([[0.8, 0.2], [0.4, 0.6]]))
    rows = [[0.64 / 1.2, 0.04 / 0.8], [0.16 / 1.2, 0.36 / 0.8]]
    expected = [[value / sum(row) for value in row] for row in rows]
    assert p.tolist() == [pytest.approx(row) for row in expected]


def test_the_loss_is_the_divergence_per_spot() -> None:
    q, p = torch.tensor([[0.5, 0.5], [0.9, 0.1]]), torch.tensor([[0.75, 0.25], [0.9, 0.1]])
    expected = (0.75 * math.log(1.5) + 0.25 * math.log(0.5)) / 2
    assert clustering_loss(q, p).item() == pytest.approx(expected, abs=1e-6)
    assert clustering_loss(q, q).item() == pytest.approx(0, abs=1e-7)
