"""Markers: against scanpy, against ranks worked out by hand, and a planted gene."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy
import scipy.sparse as sp

from efnst.genes import markers
from efnst.genes.expression import log_normalise
from efnst.genes.markers import domain_profile, pseudobulk, rank_markers, rank_sum_z, untestable_domains


@pytest.fixture
def counts() -> sp.csr_matrix:
    """90 spots x 40 genes; gene 0 is ten times higher in the first 30 spots."""
    values = np.random.default_rng(1).poisson(1.0, (90, 40))
    values[:30, 0] += 10
    return sp.csr_matrix(values)


@pytest.fixture
def domains() -> pd.Categorical:
    return pd.Categorical(np.repeat(["1", "2", "3"], 30))


GENES = np.array([f"gene{number}" for number in range(40)])


def test_rank_sum_by_hand() -> None:
    """Values 0 0 3 | 0 3 5: ranks 2 2 4.5 | 2 4.5 6, so the first group has 8.5 where 10.5 is expected."""
    expression = sp.csc_matrix([[0.0], [0], [3], [0], [3], [5]])
    members = sp.csr_matrix([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]])
    ties = (3**3 - 3) + (2**3 - 2)
    variance = 3 * 3 * 7 / 12 * (1 - ties / (6**3 - 6))
    np.testing.assert_allclose(rank_sum_z(expression, members)[:, 0], np.array([-2, 2]) / np.sqrt(variance))


def test_same_scores_as_scanpy(counts: sp.csr_matrix, domains: pd.Categorical) -> None:
    expression = log_normalise(counts).tocsc()
    data = anndata.AnnData(
        sp.csr_matrix(expression), obs=pd.DataFrame({"efnst": domains}, index=[str(n) for n in range(90)])
    )
    data.var_names = GENES
    scanpy.tl.rank_genes_groups(data, "efnst", method="wilcoxon", tie_correct=True, pts=True)
    ours = rank_markers(expression, GENES, domains, 40)
    theirs = scanpy.get.rank_genes_groups_df(data, None).merge(
        ours, left_on=["group", "names"], right_on=["domain", "gene"]
    )
    assert len(theirs) == len(ours) > 30
    np.testing.assert_allclose(theirs["score"], theirs["scores"], atol=1e-5)
    np.testing.assert_allclose(theirs["p_value"], theirs["pvals"], rtol=1e-4)
    np.testing.assert_allclose(theirs["p_adjusted"], theirs["pvals_adj"], rtol=1e-4)
    np.testing.assert_allclose(theirs["fraction_in"], theirs["pct_nz_group"])
    np.testing.assert_allclose(theirs["fraction_out"], theirs["pct_nz_reference"])


def test_planted_marker_is_first(counts: sp.csr_matrix, domains: pd.Categorical) -> None:
    table = rank_markers(log_normalise(counts).tocsc(), GENES, domains, 5)
    assert list(table.columns) == markers.COLUMNS
    first = table[table["domain"] == "1"].iloc[0]
    assert first["gene"] == "gene0"
    assert first["p_adjusted"] < 1e-6
    assert first["log2_fold_change"] > 2
    assert (table.groupby("domain").size() <= 5).all()
    assert (table["score"] > 0).all()


def test_a_marker_is_higher_in_ranks_and_in_mean() -> None:
    """Gene 1 has small counts in most spots of domain 1 and one large count outside: higher ranks, a lower mean."""
    values = np.ones((40, 3))
    values[:20, 0] = 3
    values[20:, 1] = 0
    values[20, 1] = 500
    domains = pd.Categorical(np.repeat(["1", "2"], 20))
    expression = sp.csc_matrix(np.log1p(values))
    assert rank_sum_z(expression, markers.members_of(domains))[0, 1] > 3
    table = rank_markers(expression, GENES[:3], domains, 1)
    assert table["gene"].tolist() == ["gene0"] and (table["log2_fold_change"] > 0).all()
    assert rank_markers(expression, GENES[:3], domains, 5)["gene"].tolist() == ["gene0"]


def test_ranks_do_not_depend_on_the_chunks(
    counts: sp.csr_matrix, domains: pd.Categorical, monkeypatch: pytest.MonkeyPatch
) -> None:
    expression = log_normalise(counts).tocsc()
    at_once = rank_markers(expression, GENES, domains, 10)
    monkeypatch.setattr(markers, "CHUNK_NONZEROS", 100)
    pd.testing.assert_frame_equal(at_once, rank_markers(expression, GENES, domains, 10))


def test_domain_of_one_spot_is_left_out(counts: sp.csr_matrix) -> None:
    domains = pd.Categorical(["1"] * 60 + ["2"] * 29 + ["3"])
    assert untestable_domains(domains) == {"3": "too few spots"}
    assert set(rank_markers(log_normalise(counts).tocsc(), GENES, domains, 5)["domain"]) == {"1", "2"}


def test_all_spots_but_one_are_too_few_outside() -> None:
    domains = pd.Categorical(["1"] * 89 + ["2"], ["2", "1"])
    assert untestable_domains(domains) == {"1": "too few spots outside it", "2": "too few spots"}


def test_a_single_domain_has_no_markers(counts: sp.csr_matrix) -> None:
    domains = pd.Categorical(["1"] * 90)
    assert untestable_domains(domains) == {"1": "too few spots outside it"}
    table = rank_markers(log_normalise(counts).tocsc(), GENES, domains, 5)
    assert table.empty
    assert list(table.columns) == markers.COLUMNS


def test_log_normalise_scales_to_the_median_total() -> None:
    expression = log_normalise(sp.csr_matrix([[1, 1], [4, 0], [6, 2], [0, 0]]))
    np.testing.assert_allclose(np.expm1(expression.toarray()), [[2, 2], [4, 0], [3, 1], [0, 0]], rtol=1e-6)


def test_profile_and_pseudobulk_by_hand() -> None:
    """Gene 0 is 2 and 0 in domain 1, gene 1 is 0 and 4: means 1 and 2, seen in half of the spots; domain 3 is empty."""
    values = sp.csc_matrix([[2.0, 0], [0, 4], [3, 3]])
    domains = pd.Categorical(["1", "1", "2"], ["1", "2", "3"])
    mean, fraction = domain_profile(values, domains)
    assert mean.tolist() == [[1, 2], [3, 3], [0, 0]]
    assert fraction.tolist() == [[0.5, 0.5], [1, 1], [0, 0]]
    assert pseudobulk(values.tocsr(), domains).tolist() == [[2, 4], [3, 3], [0, 0]]
