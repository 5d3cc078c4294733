"""When a training ends."""

from efnst.embedding.convergence import WINDOW, converged


def test_not_before_two_windows() -> None:
    flat = [1.0] * (2 * WINDOW)
    assert not converged(flat[1:], 0.02) and converged(flat, 0.02)


def test_the_tolerance_is_a_part_of_the_earlier_loss() -> None:
    losses = [10.0] * WINDOW + [9.8] * WINDOW
    assert converged(losses, 0.021) and not converged(losses, 0.019)


def test_only_the_last_two_windows_count() -> None:
    falling = [float(value) for value in range(100, 0, -1)]
    assert not converged(falling, 0.02) and converged(falling + [1.0] * 2 * WINDOW, 0.02)


def test_single_epochs_may_jump() -> None:
    jumping = [1.0, 3.0] * WINDOW
    assert converged(jumping, 0.02)


def test_a_rising_loss_has_converged_and_tolerance_0_never_has() -> None:
    rising = [1.0] * WINDOW + [2.0] * WINDOW
    assert converged(rising, 0.02) and not converged(rising, 0.0)
