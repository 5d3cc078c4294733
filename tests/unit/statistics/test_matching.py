"""The best assignment between the domains of two runs."""

import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from efnst.statistics.matching import match_domains


def spots(first: str, second: str) -> pd.DataFrame:
    """Spots with the domain of each run, one letter each."""
    return pd.DataFrame({"first": list(first), "second": list(second)})


def test_the_assignment_that_most_spots_agree_with() -> None:
    """Each by its own best partner would give y twice."""
    pair = spots("aaaaaabbbbb", "yyyyxxyyyyy")
    domains, samples = match_domains({"s": pair}, common=False)
    assert domains.set_index("domain_1")["domain_2"].to_dict() == {"a": "x", "b": "y"}
    first = domains.iloc[0]
    assert (first["sample"], first["n_1"], first["n_2"], first["n_both"]) == ("s", 6, 2, 2)
    assert first["agreement"] == pytest.approx(2 / 6) and first["jaccard"] == pytest.approx(2 / 6)
    assert domains.iloc[1]["agreement"] == 1 and domains.iloc[1]["jaccard"] == pytest.approx(5 / 9)
    row = samples.iloc[0]
    assert (row["sample"], row["n_shared"]) == ("s", 11) and row["agreement"] == pytest.approx(7 / 11)
    assert row["ari"] == pytest.approx(adjusted_rand_score(pair["first"], pair["second"]))


def test_a_domain_without_a_partner() -> None:
    domains, samples = match_domains({"s": spots("aaabbc", "xxxyyy")}, common=False)
    assert domains.set_index("domain_1")["domain_2"].to_dict() == {"a": "x", "b": "y", "c": ""}
    assert domains.iloc[2][["n_2", "n_both", "agreement"]].tolist() == [0, 0, 0]
    assert samples["agreement"].tolist() == [pytest.approx(5 / 6)]


def test_domains_that_share_no_spot_are_no_partners() -> None:
    """b and z share nothing; those of the second run that are left follow at the end."""
    domains, samples = match_domains({"s": spots("aaaaaabb", "xxxxyzxx")}, common=False)
    assert domains[["domain_1", "domain_2"]].to_numpy().tolist() == [["a", "x"], ["b", ""], ["", "y"], ["", "z"]]
    assert domains[["n_1", "n_2", "n_both"]].to_numpy().tolist() == [[6, 6, 4], [2, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert domains["agreement"].tolist() == [pytest.approx(4 / 6), 0, 0, 0]
    assert samples["agreement"].tolist() == [0.5]


def test_one_assignment_for_all_samples_or_one_for_each() -> None:
    pairs = {"s": spots("aaabbb", "xxxyyy"), "t": spots("aabb", "yyxx")}
    domains, samples = match_domains(pairs, common=True)
    assert domains["sample"].tolist() == ["all", "all"] and domains["domain_2"].tolist() == ["x", "y"]
    assert samples["agreement"].tolist() == [1, 0] and samples["ari"].tolist() == [1, 1]
    domains, samples = match_domains(pairs, common=False)
    assert domains["sample"].tolist() == ["s", "s", "t", "t"] and samples["agreement"].tolist() == [1, 1]
