"""Names for units: a discriminant head that the labels of some sections teach, calibrated on sections left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax
from sklearn.metrics import adjusted_rand_score, f1_score

from efnst.domains.refinement import refine
from efnst.domains.tied_mixture import RIDGE, TiedGaussians
from efnst.errors import EfnstError

UNKNOWN = "unknown"
LEAST_ODDS = 1.5  # of the best name, over what it has where all are as likely
TEMPERATURES = np.geomspace(1, 32, 41)
MOST_TAUGHT = 5_000  # labelled units of one section that teach
OWN_SHARE, OWN_ROUNDS = 0.3, 20  # what the units of the section that is named count, of all labelled ones; steps of EM


@dataclass(frozen=True)
class Taught:
    """The labelled units of a section: `values` [n, n_dims], `labels` text [n], and the `positions` [n, 2] of all."""

    values: np.ndarray
    labels: np.ndarray
    labelled: np.ndarray
    positions: np.ndarray


@dataclass(frozen=True)
class Head:
    """What labels taught: how many units have each name, `sizes` [n_names], their `means` [n_names, n_dims], and the
    `covariance` [n_dims, n_dims] within names.
    """

    sizes: np.ndarray
    means: np.ndarray
    covariance: np.ndarray

    @property
    def silent(self) -> bool:
        """Whether no labels taught it: all names are as likely, so that every unit is `UNKNOWN`."""
        return not self.sizes.any()

    def scores(self, values: np.ndarray) -> np.ndarray:
        """Logarithm of the odds of each name for the units of a section, [n_units, n_names]; -inf for one never taught.

        Linear discriminants that follow the section: by EM its units, whose names are not known, count beside the
        labelled ones, in all `OWN_SHARE` of what these count (semi-supervised mixtures: Nigam et al. 2000).
        """
        values = np.asarray(values, np.float64)
        if self.means.shape[1] != values.shape[1]:
            raise EfnstError(
                f"Expected {self.means.shape[1]} columns, as names were learned from, found {values.shape[1]}: these "
                "are files of two references. Copy the whole folder again."
            )
        if self.silent:
            return np.zeros((len(values), len(self.sizes)))
        sums, n_taught = self.sizes[:, None] * self.means, self.sizes.sum()
        weight = min(1.0, OWN_SHARE * n_taught / len(values))
        squares = n_taught * self.covariance + sums.T @ self.means + weight * values.T @ values
        found = _discriminants(self.sizes, self.means, self.covariance)
        for _ in range(OWN_ROUNDS):
            own = weight * found.probabilities(values)
            sizes = self.sizes + own.sum(0)
            means = (sums + own.T @ values) / np.maximum(sizes, np.finfo(float).tiny)[:, None]
            found = _discriminants(sizes, means, (squares - (sizes * means.T) @ means) / sizes.sum())
        return found.log_odds(values)


def _discriminants(sizes: np.ndarray, means: np.ndarray, covariance: np.ndarray) -> TiedGaussians:
    """Linear discriminants as a mixture; the covariance is shrunken to its diagonal, the more the fewer units."""
    shrinkage = len(covariance) / (len(covariance) + sizes.sum())
    diagonal = np.diag(covariance.diagonal())
    root = np.linalg.cholesky((1 - shrinkage) * covariance + shrinkage * diagonal + RIDGE * np.eye(len(covariance)))
    return TiedGaussians(sizes / sizes.sum(), means, root)


@dataclass(frozen=True)
class Naming:
    """Names by heads: that of all labelled sections under the name "", and those that leave one of them out.

    Probabilities are softmax(scores / `temperature`); the temperature is the one with which the best name of units of
    sections left out is, in the mean, as probable as it is often right. Not `calibrated` where no section can be left
    out: it is 1 then.
    """

    names: list[str]
    heads: dict[str, Head]
    temperature: float
    calibrated: bool

    @property
    def unnamed(self) -> list[str]:
        """Labelled sections that the labels of the others tell nothing about."""
        return [sample for sample, head in self.heads.items() if head.silent]

    @property
    def least_probability(self) -> float:
        """Below it a unit is `UNKNOWN`."""
        return LEAST_ODDS / len(self.names)

    def of(self, sample: str, values: np.ndarray, positions: np.ndarray, rounds: int) -> tuple[np.ndarray, np.ndarray]:
        """Names text [n_units] of a section and their probabilities; a labelled section is not named by its own labels.

        Names are refined as domains are. A unit whose name is hardly likelier than the others is `UNKNOWN`.
        """
        scores = self.heads.get(sample, self.heads[""]).scores(values)
        shares = softmax(scores / self.temperature, axis=1)
        found = refine(shares.argmax(1), positions, rounds)
        probability = shares[np.arange(len(found)), found]
        named = np.where(probability < self.least_probability, UNKNOWN, np.array(self.names, object)[found])
        return named.astype(str), probability


def fit_naming(sections: Mapping[str, Taught]) -> Naming:
    """Heads of all labelled sections, together and with each left out, and the temperature."""
    if not sections:
        raise EfnstError(
            "Expected labels of at least one section with learn_labels, found none: sections with labels "
            "failed, or all of their labels are left out. The log says which sections failed, and why."
        )
    names = sorted({str(name) for taught in sections.values() for name in taught.labels})
    if len(names) < 2:
        raise EfnstError(f"Expected at least two different labels to learn from, found {names}.")
    taught = {sample: _some(each) for sample, each in sections.items()}
    n_dims = next(iter(sections.values())).values.shape[1]
    heads = {"": _head(list(taught.values()), names, n_dims)}
    if heads[""].silent:
        counts = ", ".join(f"{len(each.labels)} in {sample}" for sample, each in sections.items())
        raise EfnstError(
            f"Expected more labelled units than labels to learn names from, found one for each label "
            f"({counts}). Give labels of regions, or leave learn_labels out."
        )
    for sample in taught:
        heads[sample] = _head([each for name, each in taught.items() if name != sample], names, n_dims)
    temperature = _temperature(sections, heads, names)
    return Naming(names, heads, temperature or 1.0, calibrated=temperature is not None)


def left_out_scores(naming: Naming, sections: Mapping[str, Taught], rounds: int) -> dict[str, dict[str, float]]:
    """Macro F1 over its labels, and ARI, of each labelled section as named from the others."""
    found = {}
    for sample, taught in sections.items():
        if sample in naming.unnamed:
            continue
        names, _ = naming.of(sample, taught.values, taught.positions, rounds)
        truth, named = taught.labels, names[taught.labelled]
        f1 = f1_score(truth, named, labels=np.unique(truth), average="macro", zero_division=0)
        known = float((named != UNKNOWN).mean())
        found[sample] = {"macro_f1": float(f1), "ari": float(adjusted_rand_score(truth, named)), "known": known}
    return found


def _head(taught: Sequence[tuple[np.ndarray, np.ndarray]], names: list[str], n_dims: int) -> Head:
    """The head of labelled units; silent where these cannot teach."""
    labels = np.concatenate([labels for _, labels in taught] or [np.zeros(0, str)])
    if not 1 < len(np.unique(labels)) < len(labels):
        return Head(np.zeros(len(names)), np.zeros((len(names), n_dims)), np.zeros((n_dims, n_dims)))
    values = np.concatenate([values for values, _ in taught])
    given = (labels[:, None] == names).astype(float)
    sizes = given.sum(0)
    means = given.T @ values / np.maximum(sizes, 1)[:, None]
    apart = values - given @ means
    return Head(sizes, means, apart.T @ apart / len(values))


def _some(taught: Taught) -> tuple[np.ndarray, np.ndarray]:
    """Values and labels of the labelled units, of many evenly some."""
    step = max(1, len(taught.labels) // MOST_TAUGHT)
    return np.asarray(taught.values, np.float64)[taught.labelled][::step], taught.labels[::step].astype(str)


def _temperature(sections: Mapping[str, Taught], heads: dict[str, Head], names: list[str]) -> float | None:
    """The temperature with which names of labelled sections left out are as probable as they are often right.

    None where no labelled section has a label of another one.

    Not the one with the smallest log loss: where a whole region of one section is taken for another, that would make
    every name unlikely. Units count whose labels the head was taught.
    """
    scores, truth = [], []
    for sample in sections:
        if heads[sample].silent:
            continue
        taught = sections[sample]
        places = np.searchsorted(names, taught.labels.astype(str))
        known = heads[sample].sizes[places] > 0
        scores.append(heads[sample].scores(taught.values)[taught.labelled][known])
        truth.append(places[known])
    scores, truth = np.concatenate([np.zeros((0, len(names))), *scores]), np.concatenate([[], *truth])
    if not len(truth):
        return None
    right = (scores.argmax(1) == truth).mean()
    likely = [softmax(scores / value, axis=1).max(1).mean() for value in TEMPERATURES]
    return float(TEMPERATURES[int(np.abs(np.array(likely) - right).argmin())])
