"""The number of domains where the user gives none: beyond it, more domains hardly predict held-out places better."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial.distance import squareform
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from efnst.domains.consensus import agreement
from efnst.domains.tied_mixture import fit_gaussians
from efnst.errors import EfnstError
from efnst.genes.components import dense_components

SPOTS_PER_DOMAIN = 10  # no more domains are tried than leave this many spots to each, on average
FOLDS = 4
TRAININGS = 4  # of which embeddings are fitted: the time grows with their number
BLOCK_SPOTS = 25  # a block is wider than the smoothing of an embedding reaches
FIT_SPOTS = 2000  # a mixture is fitted to no more spots than these
STARTS = 3
COLUMNS = 12  # principal components of an embedding that are fitted: the last ones add more noise than they tell
MOST = 5 / 6  # of the best gain
TOLERANCE = 2  # standard errors


@dataclass(frozen=True)
class NumberOfDomains:
    """The number chosen, the next best (None where only one was tried), and how far to trust it.

    `supported` says that it predicts left-out places better than a single domain, `flat` that none stands out.
    """

    n_domains: int
    runner_up: int | None
    flat: bool
    supported: bool


def stability_curve(
    embeddings: Sequence[np.ndarray], positions: np.ndarray, candidates: Iterable[int], seed: int = 0
) -> pd.DataFrame:
    """How well each number of domains is found again, one row per candidate of at most n_spots // 10.

    `embeddings` float [n_spots, ·], one per training; `positions` [n_spots, 2]. Each of the first `TRAININGS` is fitted
    `FOLDS` times by `fit_gaussians`, with a quarter of the section left out, and each fit assigns all spots; its first
    `COLUMNS` principal components are fitted.

    - `n_domains`
    - `stability`, `sd`: mean and standard deviation of the ARI over all pairs of fits (Ben-Hur, Elisseeff and Guyon
      2002).
    - `se`: standard error of `stability` over the fits, the value of a fit being its mean ARI to all others.
    - `gain`, `gain_se`: log-likelihood per left-out spot beyond that of a single domain, mean and standard error over
      the fits (Smyth 2000).

    What is left out are blocks of neighbouring spots, not single spots (Roberts et al. 2017): a smoothed embedding
    tells nearly everything about a spot through its neighbours, and with single spots left out few domains always look
    stable. Time and memory are linear in the number of spots.

    Raises EfnstError where no candidate is small enough for the section.
    """
    n_spots = len(positions)
    tried = sorted({k for k in candidates if 2 <= k <= n_spots // SPOTS_PER_DOMAIN})
    if not tried:
        raise EfnstError(
            f"Expected at least {2 * SPOTS_PER_DOMAIN} spots and a candidate from 2 to n_spots // {SPOTS_PER_DOMAIN} "
            f"to choose the number of domains, found {n_spots} spots. Give n_domains."
        )
    partitions, likelihood = _fits(embeddings[:TRAININGS], positions, [1, *tried], seed)
    return _curve(tried, partitions, likelihood)


def _curve(tried: list[int], partitions: np.ndarray, likelihood: np.ndarray) -> pd.DataFrame:
    """The table of `stability_curve` from what `_fits` found for a single domain and the numbers `tried`."""
    pairs = np.stack([agreement(partitions[:, column]) for column in range(1, len(tried) + 1)])
    of_fit = np.stack([squareform(values).sum(0) for values in pairs]) / (len(partitions) - 1)
    gain = likelihood[:, 1:] - likelihood[:, :1]
    return pd.DataFrame(
        {
            "n_domains": tried,
            "stability": pairs.mean(1),
            "sd": pairs.std(1),
            "se": _standard_error(of_fit.T),
            "gain": gain.mean(0),
            "gain_se": _standard_error(gain),
        }
    )


def choose_number(curve: pd.DataFrame) -> NumberOfDomains:
    """The smallest number with `MOST` of the best gain: further domains tell little more about places left out.

    A section supports a choice where the best gain is more than `TOLERANCE` standard errors above 0. Where it is not,
    the curve is noise and so is where it peaks: then the smallest number within a standard error of the best gain is
    taken (Breiman 1984), which replicates share. The runner-up is the more stable of the numbers before and after it.

    `flat` says that none stands out: the section supports none, or it is the largest of several, or more than half of
    several are as stable as it (within `TOLERANCE` standard errors).
    """
    curve = curve.sort_values("n_domains", ignore_index=True)
    numbers, gain, stability = (curve[name].to_numpy() for name in ("n_domains", "gain", "stability"))
    last = len(numbers) - 1
    best, error = gain.argmax(), curve["gain_se"].to_numpy()[gain.argmax()]
    supported = bool(gain[best] > TOLERANCE * error)
    chosen = int(np.argmax(gain >= (MOST * gain[best] if supported else gain[best] - error)))
    rivals = [rival for rival in (chosen - 1, chosen + 1) if 0 <= rival <= last]
    runner_up = int(numbers[max(rivals, key=lambda rival: stability[rival])]) if rivals else None
    as_stable = stability >= stability[chosen] - TOLERANCE * curve["se"][chosen]
    unclear = last > 0 and (chosen == last or as_stable.mean() > 0.5)
    return NumberOfDomains(int(numbers[chosen]), runner_up, bool(unclear or not supported), supported)


def _fits(
    embeddings: Sequence[np.ndarray], positions: np.ndarray, numbers: list[int], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Partitions int8 [n_fits, n_numbers, n_spots] and log-likelihood per left-out spot [n_fits, n_numbers]."""
    n_fits = len(embeddings) * FOLDS
    partitions = np.zeros((n_fits, len(numbers), len(positions)), np.int8)
    likelihood = np.zeros((n_fits, len(numbers)))
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for view, embedding in enumerate(embeddings):
            rng = np.random.default_rng([seed, view])
            values, folds = dense_components(embedding, COLUMNS).astype(np.float64), _folds(positions, rng)
            for fold in range(FOLDS):
                kept = rng.permutation(np.flatnonzero(folds != fold))[:FIT_SPOTS]
                for column, number in enumerate(numbers):
                    model = fit_gaussians(values[kept], number, STARTS, int(rng.integers(2**31)))
                    partitions[view * FOLDS + fold, column] = model.log_odds(values).argmax(1)
                    likelihood[view * FOLDS + fold, column] = model.mean_log_likelihood(values[folds == fold])
    return partitions, likelihood


def _folds(positions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fold int [n_spots] of each spot: blocks of about `BLOCK_SPOTS` spots, dealt out at random.

    The section is cut into strips at a random angle and each strip into blocks, all with the same number of spots.
    """
    n_spots = len(positions)
    n_strips = max(round(np.sqrt(n_spots / BLOCK_SPOTS)), 2)
    angle = rng.uniform(0, np.pi)
    along, across = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) @ positions.T
    strips = along.argsort(kind="stable").argsort() * n_strips // n_spots
    blocks = np.empty(n_spots, int)
    blocks[np.lexsort((across, strips))] = np.arange(n_spots) * n_strips**2 // n_spots
    return rng.permutation(np.arange(n_strips**2) % FOLDS)[blocks]


def _standard_error(values: np.ndarray) -> np.ndarray:
    """Standard error of the mean of each column."""
    return values.std(0, ddof=1) / np.sqrt(len(values))
