"""Whether shares of domains go with covariates."""

from itertools import permutations
from math import comb, factorial

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, kendalltau, kruskal, mannwhitneyu, rankdata

from efnst.statistics.association import association_table
from efnst.statistics.proportions import log_ratios, proportion_table

N = 8
SPOTS = {f"s{n}": {"1": 100 + 40 * (n % 2) + n, "2": 200 + 7 * n, "3": 60 + (5 * n) % 11} for n in range(N)}
RATIOS = log_ratios(np.array([list(of_sample.values()) for of_sample in SPOTS.values()]))
SAMPLES = pd.Index(list(SPOTS), name="sample")


def table_of(**covariates: list) -> pd.DataFrame:
    """The tests of these covariates."""
    return association_table(proportion_table(SPOTS, common=True), pd.DataFrame(covariates, index=SAMPLES))


def test_two_levels() -> None:
    """Four and four samples can give no p value below 2 / (8 over 4)."""
    table = table_of(treated=["no", "yes"] * 4)
    assert len(table) == 3 and set(table["test"]) == {"mann_whitney"} and set(table["levels"]) == {"no: 4, yes: 4"}
    first = table.set_index("domain").loc["1"]
    expected = mannwhitneyu(RATIOS[::2, 0], RATIOS[1::2, 0])
    assert (first["statistic"], first["p_value"]) == (expected.statistic, pytest.approx(expected.pvalue))
    assert first["p_value"] == pytest.approx(2 / comb(8, 4)) and table["domain"][0] == "1"
    np.testing.assert_allclose(table["smallest_p"], 2 / comb(8, 4))
    np.testing.assert_allclose(table["p_adjusted"], false_discovery_control(table["p_value"]))


def test_a_domain_that_no_sample_has_changes_nothing() -> None:
    covariates = pd.DataFrame({"treated": ["no", "yes"] * 4}, SAMPLES)
    with_nothing = proportion_table({sample: spots | {"4": 0} for sample, spots in SPOTS.items()}, common=True)
    found = association_table(with_nothing, covariates)
    pd.testing.assert_frame_equal(found, table_of(treated=["no", "yes"] * 4))


def test_samples_that_failed_count_and_are_counted() -> None:
    covariates = pd.DataFrame({"treated": ["no", "yes"] * 3 + ["no", None]}, SAMPLES)
    found = association_table(proportion_table(SPOTS, common=True), covariates, failed=["s1", "s6", "s7"])
    assert set(found["n_samples"]) == {7} and set(found["n_failed"]) == {2}


def test_the_direction_of_a_difference_is_told() -> None:
    """Domain 1 is larger in every second sample, whatever that is called."""
    for second in ("yes", "control"):
        found = table_of(treated=["no", second] * 4).set_index("domain")
        expected = mannwhitneyu(RATIOS[::2, 0], RATIOS[1::2, 0]).statistic
        assert found.loc["1", "higher_in"] == second and expected == 0
        assert found.loc["1", "statistic"] == (0 if second == "yes" else 16), "U is of the level that sorts first"
    stages = table_of(stage=list("IJKIJKIJ")).set_index("domain")
    means = {level: np.mean(rankdata(RATIOS[:, 1])[np.array(list("IJKIJKIJ")) == level]) for level in "IJK"}
    assert stages.loc["2", "higher_in"] == max(means, key=means.get)
    ages = table_of(age=[10.0, 20, 11, 21, 12, 22, 13, 23]).set_index("domain")
    assert ages.loc["1", "higher_in"] == "larger" and ages.loc["1", "statistic"] > 0
    ages = table_of(age=[-10.0, -20, -11, -21, -12, -22, -13, -23]).set_index("domain")
    assert ages.loc["1", "higher_in"] == "smaller"
    alike = {sample: {"1": 5, "2": 5} for sample in SPOTS}
    covariates = pd.DataFrame({"treated": ["no", "yes"] * 4, "age": np.arange(8.0)}, SAMPLES)
    assert set(association_table(proportion_table(alike, common=True), covariates)["higher_in"]) == {""}


def test_numbers_that_take_two_values_are_levels() -> None:
    assert (
        table_of(treated=[0.0, 1.0] * 4)["p_value"].tolist() == table_of(treated=["no", "yes"] * 4)["p_value"].tolist()
    )


def test_levels_of_numbers_are_written_as_numbers() -> None:
    assert set(table_of(batch=[1.0, 2.0] * 4)["levels"]) == {"1: 4, 2: 4"}
    assert set(table_of(batch=["01", "02"] * 4)["levels"]) == {"01: 4, 02: 4"}


def test_more_levels() -> None:
    table = table_of(stage=list("IJKIJKIJ")).set_index("domain")
    parts = [RATIOS[np.array(list("IJKIJKIJ")) == level, 1] for level in "IJK"]
    expected = kruskal(*parts)
    assert table.loc["2", "p_value"] == pytest.approx(expected.pvalue) and table.loc["2", "test"] == "kruskal_wallis"
    ranks = [[1, 2, 3], [4, 5, 6], [7, 8]], [[1, 2, 3], [6, 7, 8], [4, 5]], [[3, 4, 5], [6, 7, 8], [1, 2]]
    assert table.loc["2", "smallest_p"] == pytest.approx(min(kruskal(*parts).pvalue for parts in ranks))


def test_numbers() -> None:
    ages = [50.0, 61, 47, 70, 66, 58, 80, None]
    table = table_of(age=ages).set_index("domain")
    expected = kendalltau(RATIOS[:7, 2], ages[:7])
    assert table.loc["3", "p_value"] == pytest.approx(expected.pvalue) and table.loc["3", "n_samples"] == 7
    assert table.loc["3", "smallest_p"] == pytest.approx(2 / factorial(7)) and table.loc["3", "levels"] == "47 to 80"


@pytest.mark.parametrize("covariate", [["a", "b"] * 2, list("aabbcc"), [1.0, 2, 3, 4], [1.0, 1, 2, 3, 4]])
def test_no_p_value_is_below_the_smallest_where_samples_are_alike(covariate: list) -> None:
    """The same section under two names: of ties, all ways to spread the values over the samples are tried."""
    n = len(covariate)
    pairs = {f"s{place}": {"1": 10 + 10 * (place // 2), "2": 40} for place in range(n)}
    seen = []
    for order in permutations(range(n)):
        spots = {f"s{to}": pairs[f"s{place}"] for place, to in enumerate(order)}
        samples = pd.Index([f"s{place}" for place in range(n)], name="sample")
        table = association_table(proportion_table(spots, common=True), pd.DataFrame({"x": covariate}, index=samples))
        assert (table["p_value"] >= table["smallest_p"] - 1e-12).all()
        seen.append(table["p_value"].min())
    assert min(seen) == pytest.approx(table["smallest_p"].min())


def test_two_and_two_that_are_alike() -> None:
    """Without ties two against two give no less than 1/3; with two samples alike the test is another: 0.22."""
    spots = {name: {"1": n, "2": 40} for name, n in zip("abcd", (10, 10, 20, 30), strict=True)}
    levels = pd.DataFrame({"x": list("uuvv")}, index=pd.Index(list("abcd"), name="sample"))
    table = association_table(proportion_table(spots, common=True), levels)
    expected = mannwhitneyu([1, 1], [2, 3]).pvalue
    assert table["p_value"].tolist() == table["smallest_p"].tolist() == pytest.approx([expected] * 2)
    assert expected == pytest.approx(0.2207, abs=1e-4)


def test_all_p_values_are_adjusted_together() -> None:
    table = table_of(treated=["no", "yes"] * 4, age=[float(n * 7 % 8) for n in range(N)])
    assert len(table) == 6 and table["p_value"].is_monotonic_increasing
    np.testing.assert_allclose(table["p_adjusted"], false_discovery_control(table["p_value"]))


@pytest.mark.parametrize("values", [["x"] * 8, list("abcdefgh"), ["a", "b", "b", None, None, None, None, None]])
def test_covariates_that_cannot_be_tested(values: list) -> None:
    table = table_of(batch=values)
    assert table.empty and "smallest_p" in table


def test_a_level_of_one_sample_is_left_out() -> None:
    assert set(table_of(stage=list("IIIJJJKI"))["levels"]) == {"I: 4, J: 3"}


def test_no_section_at_all() -> None:
    assert association_table(proportion_table({}, common=True), pd.DataFrame()).empty


def test_a_domain_with_the_same_share_everywhere() -> None:
    spots = {name: {"1": 10, "2": 10} for name in SPOTS}
    covariates = pd.DataFrame({"treated": ["no", "yes"] * 4}, index=SAMPLES)
    table = association_table(proportion_table(spots, common=True), covariates)
    assert table["p_value"].tolist() == [1.0, 1.0] and table["p_adjusted"].tolist() == [1.0, 1.0]
