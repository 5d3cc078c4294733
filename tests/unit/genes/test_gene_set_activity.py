"""Activity of gene sets in domains."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import false_discovery_control, ttest_ind, zscore

from efnst.genes.gene_set_activity import domain_z_scores, gene_set_table

GENES = np.array([f"Gene{number}" for number in range(200)])
SETS = {
    "UP": [f"GENE{number}" for number in range(20)],
    "OTHER": [f"GENE{number}" for number in range(50, 80)],
    "FEW": ["GENE1", "GENE2", "ABSENT1", "ABSENT2", "ABSENT3"],
    "ALL": [f"GENE{number}" for number in range(200)],
}


@pytest.fixture
def expression() -> sp.csc_matrix:
    """60 spots; the first 20 genes are high in the second domain; one gene is the same everywhere."""
    values = np.random.default_rng(0).gamma(1, 1, (60, 200))
    values[values < 0.3] = 0
    values[30:, :20] += 1
    values[:, 199] = 1
    return sp.csc_matrix(values)


DOMAINS = pd.Categorical(["1"] * 30 + ["2"] * 30)


def test_z_scores_of_domains(expression: sp.csc_matrix) -> None:
    expected = zscore(expression.toarray()[:, :199], axis=0)
    found = domain_z_scores(expression, DOMAINS)
    np.testing.assert_allclose(found[:, :199], [expected[:30].mean(axis=0), expected[30:].mean(axis=0)], atol=1e-9)
    assert not found[:, 199].any()


def test_activity_is_the_t_value_of_the_genes_of_a_set(expression: sp.csc_matrix) -> None:
    """A regression on membership is Student's test of the members against all other genes."""
    table, notes = gene_set_table(expression, GENES, DOMAINS, SETS)
    assert list(table["gene_set"]) == ["OTHER", "UP", "UP", "OTHER"] and list(table["domain"]) == ["1", "1", "2", "2"]
    scores = domain_z_scores(expression, DOMAINS)
    for row, domain in enumerate(["1", "2"]):
        p_values = []
        for name, members in (("UP", slice(0, 20)), ("OTHER", slice(50, 80))):
            inside = np.zeros(200, bool)
            inside[members] = True
            test = ttest_ind(scores[row, inside], scores[row, ~inside])
            found = table[(table["domain"] == domain) & (table["gene_set"] == name)].iloc[0]
            assert found["activity"] == pytest.approx(test.statistic, rel=1e-6)
            p_values.append(test.pvalue)
        found = table[table["domain"] == domain].set_index("gene_set").loc[["UP", "OTHER"], "p_adjusted"]
        np.testing.assert_allclose(found, false_discovery_control(p_values), rtol=1e-4)
    assert table.set_index("gene_set")["n_genes"].to_dict() == {"UP": 20, "OTHER": 30}
    assert notes == [
        "2 gene sets were left out, of which fewer than 5 genes, or all but so many, were tested here: FEW, ALL."
    ]


def test_an_empty_set_is_left_out(expression: sp.csc_matrix) -> None:
    table, notes = gene_set_table(expression, GENES, DOMAINS, {"UP": SETS["UP"], "EMPTY": []})
    assert set(table["gene_set"]) == {"UP"} and notes[0].endswith("were tested here: EMPTY.")


def test_versions_and_genomes_play_no_part(expression: sp.csc_matrix) -> None:
    plain = np.array([f"ENSG{number:011}" for number in range(200)])
    sets = {"UP": [f"{gene}.{place}" for place, gene in enumerate(plain[:20])]}
    table, _ = gene_set_table(expression, np.array([f"GRCh38_{gene}.3" for gene in plain]), DOMAINS, sets)
    assert table["n_genes"].tolist() == [20, 20]


@pytest.mark.parametrize("names", [["1"] * 60, ["1"] * 60 + ["2"]])
def test_a_single_domain_has_no_activity(expression: sp.csc_matrix, names: list[str]) -> None:
    """Its mean z scores are rounding."""
    table, notes = gene_set_table(expression, GENES, pd.Categorical(names)[:60], SETS)
    assert table.empty and "of which fewer than two differ" in notes[-1]


def test_a_domain_without_spots_has_no_rows(expression: sp.csc_matrix) -> None:
    table, _ = gene_set_table(expression, GENES, DOMAINS.add_categories(["3"]), SETS)
    pd.testing.assert_frame_equal(table, gene_set_table(expression, GENES, DOMAINS, SETS)[0])


def test_no_set_of_which_enough_genes_were_tested(expression: sp.csc_matrix) -> None:
    table, notes = gene_set_table(expression, GENES, DOMAINS, {f"S{number}": ["A", "B"] for number in range(7)})
    assert table.empty and list(table.columns) == ["domain", "gene_set", "n_genes", "activity", "p_adjusted"]
    assert notes[0].startswith("7 gene sets") and notes[0].endswith("S0, S1, S2, S3, S4 and 2 more.")
