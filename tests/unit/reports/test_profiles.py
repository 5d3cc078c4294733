"""Profiles of domains: counts per million by hand, components that separate tissues, genes named most often."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.support.records import example

from efnst.records.cohort import SectionSummary
from efnst.reports.cohort import outcomes
from efnst.reports.multiqc import contents
from efnst.reports.multiqc_statistics import gene_set_map
from efnst.reports.profiles import Profiles, marker_scores, principal_components, profiles_of
from efnst.statistics.pseudobulk import MIN_GENES, read_sums

N_GENES = 200


def write_sums(folder: Path, sample: str, tissues: list[int], extra: str = "") -> Path:
    """Sums of one section: tissue t has ten times the counts in its own twenty genes; `extra`: a gene only it has."""
    rng = np.random.default_rng(len(sample))
    values = rng.poisson(1000, (N_GENES, len(tissues)))
    for column, tissue in enumerate(tissues):
        values[20 * tissue : 20 * tissue + 20, column] *= 10
    genes = [f"G{number}" for number in range(N_GENES)]
    table = pd.DataFrame(values, index=pd.Index(genes, name="gene"), columns=[str(n + 1) for n in range(len(tissues))])
    if extra:
        table.loc[extra] = 7
    table.to_csv(folder / f"{sample}_pseudobulk.csv")
    return folder / f"{sample}_pseudobulk.csv"


@pytest.fixture
def profiles(tmp_path: Path) -> Profiles:
    paths = {"a": write_sums(tmp_path, "a", [0, 1, 2], "ONLY_A"), "bb": write_sums(tmp_path, "bb", [2, 0])}
    return profiles_of(read_sums(paths))


def test_counts_per_million_by_hand(tmp_path: Path) -> None:
    table = pd.DataFrame({"1": [3] + [0] * (MIN_GENES - 1), "2": [1] * MIN_GENES})
    table.index = pd.Index(["NA", *(f"G{number}" for number in range(1, MIN_GENES))], name="gene")
    table.to_csv(tmp_path / "s.csv")
    found = profiles_of(read_sums({"s": tmp_path / "s.csv"}))
    assert found.genes[0] == "NA" and (found.samples, found.domains) == (["s", "s"], ["1", "2"])
    np.testing.assert_allclose(found.expression[:, 0], np.log2([1e6 + 1, 1e6 / MIN_GENES + 1]))
    table.iloc[: MIN_GENES - 1].to_csv(tmp_path / "few.csv")
    assert profiles_of(read_sums({"s": tmp_path / "s.csv", "few": tmp_path / "few.csv"})) is None
    assert profiles_of({}) is None


def test_the_same_tissue_lies_together(profiles: Profiles) -> None:
    assert "ONLY_A" not in profiles.genes and profiles.expression.shape == (5, N_GENES)
    places, share = principal_components(profiles)
    tissues = np.array([0, 1, 2, 2, 0])
    distance = np.hypot(*(places[:, None] - places).transpose(2, 0, 1))
    same = tissues[:, None] == tissues
    assert distance[same].max() < 0.2 * distance[~same].min()
    assert 0.9 < share.sum() <= 1
    left, strength, _ = np.linalg.svd(profiles.expression - profiles.expression.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(places), np.abs(left * strength)[:, :2], atol=1e-6)
    np.testing.assert_allclose(share, strength[:2] ** 2 / (strength**2).sum())


def test_marker_scores_are_of_the_genes_named_most_often(profiles: Profiles) -> None:
    named = [{"1": ["G0", "G1"], "2": ["G20"]}, {"1": ["G20", "UNKNOWN"], "2": ["G0"]}]
    scores = marker_scores(profiles, named, 2)
    assert list(scores.columns) == ["G0", "G20"]
    assert scores["G0"].round().tolist() == [1, -1, -1, -1, 1]
    np.testing.assert_allclose(scores.mean(), 0, atol=1e-9)


def test_a_section_named_by_identifiers_alone_names_the_same_markers(tmp_path: Path) -> None:
    paths = {sample: write_sums(tmp_path, sample, [0, 1]) for sample in ("a", "bb")}
    for sample, path in paths.items():
        table = pd.read_csv(path)
        table.insert(1, "gene_id", "E" + table["gene"])
        table["gene"] = table["gene_id"] if sample == "a" else table["gene"]
        table.to_csv(path, index=False)
    found = profiles_of(read_sums(paths))
    assert found.genes[0] == "G0" and found.common_names("a", ["EG7", "other"]) == ["G7", "other"]


def test_points_and_rows_of_the_report(profiles: Profiles) -> None:
    """Sections of one group share a colour; without groups each section has its own; one section has no scatter."""
    shown = {"top_markers": {"1": ["G0"], "2": ["G20"]}, "loss": {"kl": [[1, 1.0]]}, "composition": {"1": 1}}
    ended = outcomes(["a", "bb"], [example(SectionSummary, sample=name, **shown) for name in ("a", "bb")], [])
    made = contents(ended, {}, profiles)
    assert list(made["efnst_marker_map"]["data"]) == ["a 1", "a 2", "a 3", "bb 1", "bb 2"]
    colours = [point["color"] for point in made["efnst_profiles"]["data"].values()]
    assert [colours.count(colour) for colour in dict.fromkeys(colours)] == [3, 2]
    grouped = contents(ended, {}, profiles, {"a": "donor", "bb": "donor"})["efnst_profiles"]["data"]
    assert {(point["color"], point["group"]) for point in grouped.values()} == {(colours[0], "donor")}
    for groups, names in (({}, ["a", "bb"]), ({"a": "<b>", "bb": "<b>"}, ["&lt;b&gt;"])):
        text = contents(ended, {}, profiles, groups)["efnst_profiles"]["description"]
        named = zip(dict.fromkeys(colours), names, strict=False)
        assert all(f'background:{colour}"></i> {name}<' in text for colour, name in named)
        assert text.count("background:") == len(names) and "<b>" not in text
    alone = Profiles(["a"] * 5, profiles.domains, profiles.genes, profiles.expression)
    assert "efnst_profiles" not in contents(ended, {}, alone)


def test_plots_show_quotation_marks_and_what_their_rows_are(profiles: Profiles) -> None:
    """Plotly draws the entity of a quotation mark as it is written; a row or a point is a domain."""
    named = Profiles(profiles.samples, profiles.domains, profiles.genes.astype(object), profiles.expression)
    named.genes[0] = '5\' <"end"> & co'
    shown = {"top_markers": {"1": [named.genes[0]]}, "loss": {"kl": [[1, 1.0]]}, "composition": {"1": 1}}
    ended = outcomes(["a", "bb"], [example(SectionSummary, sample=name, **shown) for name in ("a", "bb")], [])
    made = contents(ended, {}, named, dict.fromkeys(("a", "bb"), '"<b>" d\'or'))
    assert list(made["efnst_marker_map"]["data"]["a 1"]) == ['5\' &lt;"end"&gt; &amp; co']
    assert made["efnst_profiles"]["data"]["a 1"]["group"] == '"&lt;b&gt;" d\'or'
    sets = pd.DataFrame([{"domain": "1", "gene_set": '"<i>"', "mean_activity": 2.0, "n_samples": 2}])
    assert gene_set_map(sets)["data"] == {"Domain 1": {'"&lt;i&gt;"': 2.0}}
    plots = (made["efnst_marker_map"], made["efnst_profiles"], gene_set_map(sets))
    assert [plot["pconfig"]["series_label"] for plot in plots] == ["domains"] * 3
