"""When a training has converged: its loss no longer falls."""

WINDOW = 20  # epochs


def converged(losses: list[float], tolerance: float) -> bool:
    """Whether the mean loss of the last `WINDOW` epochs is not more than `tolerance` (a part) below the ones before.

    Never before 2 · `WINDOW` epochs, nor with a tolerance of 0. The mean of a window is used because noise, dropout and
    sampled pairs make the loss of single epochs jump.
    """
    if tolerance == 0 or len(losses) < 2 * WINDOW:
        return False
    earlier, last = sum(losses[-2 * WINDOW : -WINDOW]) / WINDOW, sum(losses[-WINDOW:]) / WINDOW
    return earlier - last <= tolerance * abs(earlier)
