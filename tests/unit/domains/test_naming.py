"""Names that the labels of some sections teach."""

from dataclasses import replace

import numpy as np
import pytest
from tests.support.grids import square

from efnst.domains.naming import UNKNOWN, Naming, Taught, fit_naming, left_out_scores
from efnst.errors import EfnstError

CENTRES = {"cortex": (0.0, 0, 0), "medulla": (4.0, 0, 0), "rim": (0, 4.0, 0)}


def taught(names: list[str], seed: int, label_every: int = 1) -> Taught:
    """20 × 20 units in bands of these names, of which every so many are labelled."""
    positions = square(20, 20)
    labels = np.array(names)[(positions[:, 0] * len(names) // 20).astype(int)]
    centres = np.array([CENTRES[name] for name in labels])
    values = centres + np.random.default_rng(seed).standard_normal((400, 3))
    labelled = np.arange(400) % label_every == 0
    return Taught(values, labels[labelled], labelled, positions)


@pytest.fixture(scope="module")
def sections() -> dict[str, Taught]:
    return {"a": taught(list(CENTRES), 0), "b": taught(list(CENTRES), 1, 3)}


@pytest.fixture(scope="module")
def naming(sections: dict[str, Taught]) -> Naming:
    return fit_naming(sections)


def test_a_section_without_labels_is_named(naming: Naming) -> None:
    new = taught(["rim", "cortex"], 2)
    names, probability = naming.of("new", new.values, new.positions, 1)
    assert (names == new.labels).mean() > 0.9 and set(names) <= {*CENTRES, UNKNOWN}
    assert probability[names != UNKNOWN].min() >= naming.least_probability == 0.5


def test_a_labelled_section_is_named_by_the_others(sections: dict[str, Taught]) -> None:
    """Wrong labels of one section spoil the names of the other, not its own."""
    swapped = {"cortex": "medulla", "medulla": "cortex", "rim": "rim"}
    wrong = sections["a"]
    wrong = Taught(wrong.values, np.array([swapped[name] for name in wrong.labels]), wrong.labelled, wrong.positions)
    naming = fit_naming({"a": wrong, "b": sections["b"]})
    right = taught(list(CENTRES), 0).labels
    for sample, expected in {"a": right, "b": wrong.labels}.items():
        found = np.array(naming.names)[naming.heads[sample].scores(wrong.values).argmax(1)]
        assert (found == expected).mean() > 0.95


def test_scores_are_those_of_sections_left_out(naming: Naming, sections: dict[str, Taught]) -> None:
    scores = left_out_scores(naming, sections, 1)
    assert scores.keys() == {"a", "b"} and all(found["macro_f1"] > 0.95 for found in scores.values())


def test_no_name_is_invented(sections: dict[str, Taught]) -> None:
    """A name that only the section itself has cannot be found in it from the others."""
    naming = fit_naming({"a": sections["a"], "b": taught(["cortex", "medulla"], 3)})
    names, _ = naming.of("a", sections["a"].values, sections["a"].positions, 1)
    assert "rim" not in names


def test_probabilities_are_those_of_being_right() -> None:
    """Where sections differ more than units do, the temperature makes the head less sure."""
    shifted = {}
    for number in range(6):
        one = taught(list(CENTRES), number)
        move = np.random.default_rng(100 + number).normal(0, 1.5, 3)
        shifted[f"s{number}"] = Taught(one.values + move, one.labels, one.labelled, one.positions)
    naming = fit_naming(shifted)
    assert naming.temperature > 1.2
    found = [(naming.of(sample, one.values, one.positions, 0), one.labels) for sample, one in shifted.items()]
    right = np.concatenate([names == labels for (names, _), labels in found])
    probability = np.concatenate([shares for (_, shares), _ in found])
    sure = probability > 0.8
    assert abs(right[sure].mean() - probability[sure].mean()) < 0.1


def test_without_labels_there_is_nothing_to_learn() -> None:
    with pytest.raises(EfnstError, match="Expected labels of at least one section with learn_labels, found none"):
        fit_naming({})
    with pytest.raises(EfnstError, match="Expected at least two different labels"):
        fit_naming({"a": taught(["rim"], 0)})


@pytest.mark.parametrize("others", [{}, {"b": ["rim"]}, {"b": ["rim"], "c": ["cortex"]}])
def test_a_section_that_the_others_cannot_name_is_unknown(sections: dict[str, Taught], others: dict) -> None:
    """The others have no label, one, or as many as labelled units."""
    few = {sample: taught(names, 5, 400) for sample, names in others.items()}
    naming = fit_naming({"a": sections["a"]} | few)
    names, probability = naming.of("a", sections["a"].values, sections["a"].positions, 1)
    assert set(names) == {UNKNOWN} and probability.max() < naming.least_probability
    assert naming.unnamed == ["a"] and left_out_scores(naming, {"a": sections["a"]} | few, 1).keys() == set(others)


def test_as_many_labels_as_units_teach_nothing() -> None:
    one = {name: taught([name], 0, 400) for name in CENTRES}
    with pytest.raises(EfnstError, match=r"found one for each label \(1 in cortex, 1 in medulla, 1 in rim\)"):
        fit_naming(one)


@pytest.mark.filterwarnings("error")
def test_where_no_label_is_in_two_sections_there_is_nothing_to_calibrate_on() -> None:
    assert fit_naming({"a": taught(["rim", "cortex"], 0), "b": taught(["medulla"], 1)}).temperature == 1


def test_a_head_follows_the_section_that_it_names() -> None:
    """The units of a section that is shifted against the labelled ones, whose names are not known, shift the means."""
    naming = fit_naming({name: taught(list(CENTRES), seed) for seed, name in enumerate("ab")})
    head, right = naming.heads[""], {}
    for shift in (0.0, 1.5):
        new = taught(list(CENTRES), 2)
        values = new.values + np.array([shift, 0, 0])
        still = ((values[:, None] - head.means) ** 2).sum(2).argmin(1)
        for way, found in {"still": still, "follows": head.scores(values).argmax(1)}.items():
            right[way, shift] = (np.array(naming.names)[found] == new.labels).mean()
    assert right["follows", 0] > right["still", 0] - 0.01
    assert right["follows", 1.5] > right["still", 1.5] + 0.02


def test_few_labels_of_many_columns_name_a_section() -> None:
    """Fewer labelled units than columns, of which one does not vary."""
    rng = np.random.default_rng(0)
    few = taught(list(CENTRES), 0, 25)
    noise = np.hstack([rng.standard_normal((400, 37)), np.zeros((400, 1))])
    naming = fit_naming({"a": replace(few, values=np.hstack([few.values * 2, noise]))})
    new = taught(list(CENTRES), 1)
    names, _ = naming.of("b", np.hstack([new.values * 2, noise[::-1]]), new.positions, 1)
    assert (names == new.labels).mean() > 0.9
