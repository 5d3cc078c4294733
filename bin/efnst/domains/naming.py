"""Names for units: a discriminant head that the labels of some sections teach, calibrated on sections left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import adjusted_rand_score, f1_score

from efnst.domains.refinement import refine
from efnst.errors import EfnstError

UNKNOWN = "unknown"
LEAST_ODDS = 1.5  # of the best name, over what it has where all are as likely
NEVER = -1e9  # score of a name that a head was not taught
TEMPERATURES = np.geomspace(1, 32, 41)
MOST_TAUGHT = 5_000  # labelled units of one section that teach


@dataclass(frozen=True)
class Taught:
    """The labelled units of a section: `values` [n, n_dims], `labels` text [n], and the `positions` [n, 2] of all."""

    values: np.ndarray
    labels: np.ndarray
    labelled: np.ndarray
    positions: np.ndarray


@dataclass(frozen=True)
class Head:
    """Scores of names: the first `n_dims` columns of values @ `weights` [n_dims, n_names] + `offset` [n_names]."""

    weights: np.ndarray
    offset: np.ndarray

    @property
    def silent(self) -> bool:
        """Whether no labels taught it: all names are as likely, so that every unit is `UNKNOWN`."""
        return not self.weights.any()

    def scores(self, values: np.ndarray) -> np.ndarray:
        """[n_units, n_names]"""
        if len(self.weights) > values.shape[1]:
            raise EfnstError(
                f"Expected at least {len(self.weights)} components, as names were learned from, found "
                f"{values.shape[1]}: these are files of two references. Copy the whole folder again."
            )
        return np.asarray(values, np.float64)[:, : len(self.weights)] @ self.weights + self.offset


@dataclass(frozen=True)
class Naming:
    """Names by heads: that of all labelled sections under the name "", and those that leave one of them out.

    Probabilities are softmax(scores / `temperature`); the temperature is the one with which the best name of units of
    sections left out is, in the mean, as probable as it is often right.
    """

    names: list[str]
    heads: dict[str, Head]
    temperature: float

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


def fit_naming(sections: Mapping[str, Taught], n_blocks: int = 1) -> Naming:
    """Heads of all labelled sections, together and with each left out, and the temperature.

    Where the values are `n_blocks` blocks of as many columns, heads read as many of the first ones as name sections
    left out best (macro F1, before refinement); the first alone where there is no section to leave out.
    """
    if not sections:
        raise EfnstError(
            "Expected labels of at least one section with learn_labels, found none: sections with labels "
            "failed, or all of their labels are left out. The log says which sections failed, and why."
        )
    names = sorted({str(name) for taught in sections.values() for name in taught.labels})
    if len(names) < 2:
        raise EfnstError(f"Expected at least two different labels to learn from, found {names}.")
    width = next(iter(sections.values())).values.shape[1] // n_blocks
    found = [_fitted(sections, names, width * number) for number in range(1, n_blocks + 1)]
    if "" in found[0].unnamed:
        counts = ", ".join(f"{len(taught.labels)} in {sample}" for sample, taught in sections.items())
        raise EfnstError(
            f"Expected more labelled units than labels to learn names from, found one for each label "
            f"({counts}). Give labels of regions, or leave learn_labels out."
        )
    if n_blocks == 1 or len(found[0].unnamed) == len(sections):
        return found[0]
    scores = [[each["macro_f1"] for each in left_out_scores(naming, sections, 0).values()] for naming in found]
    return found[int(np.argmax(np.mean(scores, axis=1)))]


def _fitted(sections: Mapping[str, Taught], names: list[str], width: int) -> Naming:
    """`fit_naming` with heads that read the first `width` columns."""
    taught = {sample: _some(each) for sample, each in sections.items()}
    heads = {"": _head(list(taught.values()), names, width)}
    for sample in taught:
        heads[sample] = _head([each for name, each in taught.items() if name != sample], names, width)
    return Naming(names, heads, _temperature(sections, heads, names))


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


def _head(taught: Sequence[tuple[np.ndarray, np.ndarray]], names: list[str], width: int) -> Head:
    """Linear discriminant analysis with a shrunken covariance of labelled units; silent where these cannot teach."""
    labels = np.concatenate([labels for _, labels in taught] or [np.zeros(0, str)])
    if not 1 < len(np.unique(labels)) < len(labels):
        return Head(np.zeros((width, len(names))), np.zeros(len(names)))
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    model.fit(np.concatenate([values[:, :width] for values, _ in taught]), labels)
    weights, offset = np.zeros((width, len(names))), np.full(len(names), NEVER)
    places = np.searchsorted(names, model.classes_)
    if len(model.classes_) == 2:  # scikit-learn keeps the difference of two
        weights[:, places[1]], offset[places] = model.coef_[0], (0.0, model.intercept_[0])
    else:
        weights[:, places], offset[places] = model.coef_.T, model.intercept_
    return Head(weights, offset)


def _some(taught: Taught) -> tuple[np.ndarray, np.ndarray]:
    """Values and labels of the labelled units, of many evenly some."""
    step = max(1, len(taught.labels) // MOST_TAUGHT)
    return np.asarray(taught.values, np.float64)[taught.labelled][::step], taught.labels[::step].astype(str)


def _temperature(sections: Mapping[str, Taught], heads: dict[str, Head], names: list[str]) -> float:
    """The temperature with which names of labelled sections left out are as probable as they are often right.

    Not the one with the smallest log loss: where a whole region of one section is taken for another, that would make
    every name unlikely. Units count whose labels the head was taught.
    """
    scores, truth = [], []
    for sample in sections:
        if heads[sample].silent:
            continue
        values, labels = _some(sections[sample])
        places = np.searchsorted(names, labels)
        known = heads[sample].offset[places] > NEVER
        scores.append(heads[sample].scores(values[known]))
        truth.append(places[known])
    scores, truth = np.concatenate([np.zeros((0, len(names))), *scores]), np.concatenate([[], *truth])
    if not len(truth):
        return 1.0
    right = (scores.argmax(1) == truth).mean()
    likely = [softmax(scores / value, axis=1).max(1).mean() for value in TEMPERATURES]
    return float(TEMPERATURES[int(np.abs(np.array(likely) - right).argmin())])
