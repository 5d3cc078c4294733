"""Genes that several sections share."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse
from tests.support.grids import square

from efnst.errors import EfnstError
from efnst.genes.shared import Survey

N_GENES = 60


def section(ids: list[str], symbols: list[str], structured: int) -> AnnData:
    """100 spots; the first `structured` genes fall off from left to right, the first one most, the others are noise."""
    rng = np.random.default_rng(len(ids))
    positions = square(10, 10)
    means = np.full((100, len(ids)), 5.0)
    for gene in range(structured):
        means[:, gene] = np.where(positions[:, 0] < 5, 30 - gene, 1)
    counts = sparse.csr_matrix(rng.poisson(means).astype(np.int32))
    var = pd.DataFrame({"gene_ids": ids}, index=symbols)
    return AnnData(counts, var=var, obsm={"spatial": positions})


def names(start: int, stop: int) -> tuple[list[str], list[str]]:
    return [f"E{n}" for n in range(start, stop)], [f"g{n}" for n in range(start, stop)]


def test_genes_are_matched_by_identifier_first() -> None:
    survey = Survey()
    ids, symbols = names(0, N_GENES)
    survey.add(section(ids, symbols, 3), 10)
    renamed = section(ids[::-1], [f"new{n}" for n in range(N_GENES)], 0)
    survey.add(renamed, 10)
    chosen = survey.chosen(N_GENES, 1.0)
    assert set(chosen.ids) == set(ids)
    assert [renamed.var["gene_ids"].iloc[column] for column in chosen.columns(renamed)] == chosen.ids.tolist()


def test_genes_are_matched_by_symbol_where_identifiers_differ() -> None:
    survey = Survey()
    _, symbols = names(0, N_GENES)
    first, second = section(symbols, symbols, 3), section([f"M{n}" for n in range(N_GENES)], symbols, 3)
    survey.add(first, 10)
    survey.add(second, 10)
    chosen = survey.chosen(N_GENES, 1.0)
    assert len(chosen.ids) == N_GENES
    assert np.array_equal(chosen.columns(first), chosen.columns(second))


def test_an_identifier_of_several_genes_tells_none_of_them() -> None:
    """As where identifiers are missing; the symbol does."""
    survey, (ids, symbols) = Survey(), names(0, N_GENES)
    plain, lacking = section(ids, symbols, 3), section(["nan"] * 10 + ids[10:], symbols, 3)
    for order in ((plain, lacking), (lacking, plain)):
        survey = Survey()
        for one in order:
            survey.add(one, 10)
        chosen = survey.chosen(N_GENES, 1.0)
        assert len(chosen.ids) == N_GENES
        for one in order:
            assert [one.var_names[column] for column in chosen.columns(one)] == chosen.symbols.tolist()


def test_two_genes_never_read_one_column() -> None:
    """A symbol that now stands for another gene, which the section has by its own identifier, is no match."""
    ids, symbols = names(0, N_GENES)
    plain, swapped = section(ids, symbols, 3), section([*ids[1:], "new"], symbols, 3)
    survey = Survey()
    survey.add(plain, 10)
    survey.add(swapped, 10)
    chosen = survey.chosen(N_GENES + 1, 0.5)
    columns = chosen.columns(swapped)
    assert len(set(columns[columns >= 0])) == (columns >= 0).sum() == N_GENES
    assert columns[chosen.ids == "E0"] == -1 and chosen.columns(plain)[chosen.ids == "new"] == -1


IDS = [f"ENSG{n:011}" for n in range(N_GENES)]


@pytest.mark.parametrize(
    "spelt",
    [
        [f"{gene}.{n % 9 + 1}" for n, gene in enumerate(IDS)],
        [f"GRCh38_{gene}" for gene in IDS],
        [f"GRCh38___{gene}.7" for gene in IDS],
    ],
)
def test_identifiers_are_compared_without_version_and_genome(spelt: list[str]) -> None:
    """Where nothing has symbols; the names of the first section are kept."""
    plain, other = section(IDS, IDS, 3), section(spelt, spelt, 3)
    for first, second in ((plain, other), (other, plain)):
        survey = Survey()
        survey.add(first, 10)
        alone = survey.chosen(N_GENES, 1.0)
        assert alone.missing(second) == 0 and np.array_equal(alone.columns(first), alone.columns(second))
        survey.add(second, 10)
        chosen = survey.chosen(N_GENES, 1.0)
        assert set(chosen.ids) == set(chosen.symbols) == set(first.var_names)
        assert np.array_equal(chosen.columns(first), chosen.columns(second))


def test_symbols_are_compared_without_genome() -> None:
    _, symbols = names(0, N_GENES)
    survey = Survey()
    mixed = [f"mm10___{name}" for name in symbols]
    survey.add(section([f"mm10___{gene}" for gene in IDS], mixed, 3), 10)
    chosen = survey.chosen(N_GENES, 1.0)
    assert chosen.missing(section(symbols, symbols, 3)) == 0 and set(chosen.symbols) == set(mixed)
    assert chosen.missing(section([f"hg38_x{n}" for n in range(N_GENES)], [f"y{n}" for n in range(N_GENES)], 3)) == 1


def test_identifiers_that_become_one_tell_none_of_the_genes() -> None:
    """Two versions of one gene: each is itself, and neither of them that of another section; symbols tell."""
    twice = [f"{IDS[0]}.1", f"{IDS[0]}.2", *IDS[1:]]
    plain, several = section(IDS, IDS, 3), section(twice, twice, 3)
    survey = Survey()
    for one in (several, plain):
        survey.add(one, 10)
    chosen = survey.chosen(N_GENES + 2, 0.5)
    assert len(chosen.ids) == N_GENES + 2
    own, other = chosen.columns(several), chosen.columns(plain)
    assert [several.var_names[column] for column in own[own >= 0]] == [name for name in chosen.ids if name != IDS[0]]
    assert set(chosen.ids[other < 0]) == set(twice[:2]) and set(chosen.ids[own < 0]) == {IDS[0]}
    alone = Survey()
    alone.add(several, 10)
    assert alone.chosen(3, 1.0).missing(several) == 0
    symbols = ["A", "B", *IDS[1:]]
    by_symbol = section(["X", "Y", *IDS[1:]], symbols, 3)
    assert alone.chosen(N_GENES + 1, 1.0).missing(section(twice, symbols, 3)) == pytest.approx(2 / (N_GENES + 1))
    told = Survey()
    told.add(section(twice, symbols, 3), 10)
    assert told.chosen(N_GENES + 1, 1.0).missing(by_symbol) == 0


def test_structured_genes_come_first() -> None:
    survey = Survey()
    for _ in range(2):
        survey.add(section(*names(0, N_GENES), 3), 10)
    assert set(survey.chosen(3, 1.0).ids) == {"E0", "E1", "E2"}


def test_genes_of_too_few_sections_are_left_out() -> None:
    survey = Survey()
    survey.add(section(*names(0, 80), 3), 10)
    survey.add(section(*names(10, 80), 3), 10)
    assert len(survey.chosen(100, 1.0).ids) == 70
    chosen = survey.chosen(100, 0.5)
    assert len(chosen.ids) == 80
    lacking = chosen.columns(section(*names(10, 80), 3)) < 0
    assert set(chosen.ids[lacking]) == {f"E{n}" for n in range(10)}


def test_sections_without_common_genes_are_refused() -> None:
    survey = Survey()
    survey.add(section(*names(0, N_GENES), 3), 10)
    survey.add(section(*names(100, 100 + N_GENES), 3), 10)
    with pytest.raises(EfnstError, match="Expected at least 50 genes that 80% of the 2 sections measure, found 0"):
        survey.chosen(100, 0.8)
