"""Tables of a cohort: covariates, proportions, markers and gene sets that hold, pseudo-bulk."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from tests.support.records import example

from efnst.records.cohort import SheetRow
from efnst.statistics.common_genes import common_genes
from efnst.statistics.covariates import covariate_table, with_covariates
from efnst.statistics.proportions import log_ratios, proportion_table
from efnst.statistics.pseudobulk import (
    MIN_GENES,
    pseudobulk_samples,
    read_sums,
    samples_without_genes,
    why_left_out,
)
from efnst.statistics.shared_markers import shared_gene_sets, shared_markers


def row(sample: str, group: str = "", **covariates: str) -> SheetRow:
    """A row of the samplesheet."""
    return example(SheetRow, id=sample, group=group, covariates=covariates)


def test_numbers_and_levels_of_the_samplesheet() -> None:
    rows = [row("a", "1", age="61", sex="f", lot="", dose="inf"), row("b", "2", age="NA", sex="", lot="", dose="1")]
    table = covariate_table(rows)
    assert list(table.index) == ["a", "b"] and list(table) == ["group", "age", "sex", "dose"]
    assert table["age"].dtype == float and table["age"].isna().tolist() == [False, True]
    assert table["sex"].tolist() == ["f", None] and table["group"].tolist() == ["1", "2"]
    assert table["dose"].tolist() == ["inf", "1"]
    for missing in ("N/A", "n/a", "<NA>", "#N/A", "NULL", "None", "nan"):
        assert covariate_table([row("a", age="61"), row("b", age=missing)])["age"].dtype == float, missing
    assert covariate_table([row("a", drug="x"), row("b", drug="none")])["drug"].tolist() == ["x", "none"]
    joined = with_covariates(pd.DataFrame({"sample": ["b", "a"], "n": [1, 2]}), table)
    assert list(joined) == ["sample", "n", "group", "age", "sex", "dose"] and joined["group"].tolist() == ["2", "1"]


def test_names_and_codes_that_are_written_in_digits_stay_as_they_are() -> None:
    """Numbers with leading zeros, and two numbers of more than two samples."""
    named = {"donor": ["001", "002", "003", "010"], "batch": ["1", "2", "2.0", ""], "depth": ["0.5", "0", "1", "-0.5"]}
    rows = [row(name, **{key: values[n] for key, values in named.items()}) for n, name in enumerate("abcd")]
    table = covariate_table(rows)
    assert table["donor"].tolist() == named["donor"]
    assert table["batch"].tolist() == ["1", "2", "2", None]
    assert table["depth"].dtype == float and table["depth"].tolist() == [0.5, 0, 1, -0.5]
    assert covariate_table(rows[:2])["batch"].tolist() == [1, 2]  # of two samples nothing says that they are codes


def test_a_samplesheet_without_covariates() -> None:
    table = covariate_table([row("a"), row("b")])
    assert list(with_covariates(pd.DataFrame({"sample": ["a"]}), table)) == ["sample"]


def test_shares_of_domains() -> None:
    spots = {"a": {"2": 30, "10": 10}, "b": {"2": 5}}
    own = proportion_table(spots, common=False)
    assert own.to_numpy().tolist() == [["a", "2", 30, 0.75], ["a", "10", 10, 0.25], ["b", "2", 5, 1.0]]
    common = proportion_table(spots, common=True)
    assert common.to_numpy().tolist()[2:] == [["b", "2", 5, 1.0], ["b", "10", 0, 0.0]]


def test_centred_log_ratios_by_hand() -> None:
    found = log_ratios(np.array([[3, 0], [8, 8]]))
    np.testing.assert_allclose(found, [[np.log(7) / 2, -np.log(7) / 2], [0, 0]])


def markers(**genes: str) -> pd.DataFrame:
    """markers.csv with the genes (one letter each) of each domain, best first; fold changes fall from 9 on.

    The first two are significant.
    """
    rows = [
        (name[1:], gene, 9.0 - place, 0.03 * (place + 0.1))
        for name, text in genes.items()
        for place, gene in enumerate(text)
    ]
    return pd.DataFrame(rows, columns=["domain", "gene", "log2_fold_change", "p_adjusted"])


def test_markers_that_hold_in_several_samples() -> None:
    found = shared_markers({"s": markers(d1="ABC", d2="X"), "t": markers(d1="BA"), "u": markers(d1="BD")})
    first = found[found["domain"] == "1"].set_index("gene")
    assert list(first.index) == ["B", "A"]  # of C and D only one sample says so
    assert first["mean_rank"].tolist() == [pytest.approx(4 / 3), pytest.approx((1 + 2 + 4) / 3)]
    assert first["n_samples"].tolist() == [3, 2] and first["n_samples_tested"].tolist() == [3, 3]
    assert first["mean_log2_fold_change"].tolist() == [pytest.approx(26 / 3), 8.5]
    assert first["n_significant"].tolist() == [3, 2]
    assert shared_markers({"s": markers(d1="ABC"), "t": markers(d1="BCA")})["n_significant"].tolist() == [2, 1, 1]
    second = found[found["domain"] == "2"]
    assert second["gene"].tolist() == ["X"] and second["n_samples_tested"].tolist() == [1]
    assert shared_markers({"s": markers()}).empty and shared_markers({}).empty


def test_mean_activity_of_gene_sets() -> None:
    table = {"domain": ["1", "1"], "gene_set": ["A", "B"], "n_genes": [9, 9], "p_adjusted": [0.01, 0.5]}
    found = shared_gene_sets(
        {"s": pd.DataFrame(table | {"activity": [1.0, 5.0]}), "t": pd.DataFrame(table | {"activity": [3.0, 6.0]})}
    )
    assert found["gene_set"].tolist() == ["B", "A"] and found["mean_activity"].tolist() == [5.5, 2.0]
    assert found["n_samples"].tolist() == [2, 2] and found["n_significant"].tolist() == [0, 2]
    assert found["sd_activity"].tolist() == [pytest.approx(0.5**0.5), pytest.approx(2**0.5)]


def cohort_sums(folder: Path, n_samples: int) -> dict[str, pd.DataFrame]:
    """Counts of two domains of samples that are treated every other time: ten genes of domain 1 are three-fold then."""
    rng, paths = np.random.default_rng(0), {}
    for number in range(n_samples):
        mean = np.full((60, 2), 200.0)
        mean[:10, 0] *= 3 if number % 2 else 1
        genes = pd.Index([f"G{gene}" for gene in range(60)], name="gene")
        paths[f"s{number}"] = folder / f"s{number}_pseudobulk.csv"
        counts = rng.negative_binomial(20, 20 / (20 + mean))
        table = pd.DataFrame(counts, genes, ["1", "2"])
        table.loc[f"ONLY{number}"] = 1000
        table.to_csv(paths[f"s{number}"])
    return read_sums(paths)


def test_pseudobulk_of_all_samples(tmp_path: Path) -> None:
    sums = cohort_sums(tmp_path, 2)
    proportions = proportion_table({"s0": {"1": 7, "2": 3}, "s1": {"1": 4, "2": 5}}, common=True)
    data = pseudobulk_samples(sums, proportions, covariate_table([row("s0", dose="1"), row("s1", dose="2", sex="f")]))
    assert list(data.obs_names) == ["s0.1", "s0.2", "s1.1", "s1.2"] and data.shape == (4, 60)
    assert data.obs["n_spots"].tolist() == [7, 3, 4, 5] and data.obs["dose"].tolist() == [1, 1, 2, 2]
    assert data.obs["total_counts"].tolist() == [int(sums[s][d].sum()) for s in ("s0", "s1") for d in ("1", "2")]
    np.testing.assert_array_equal(data.X[3], sums["s1"]["2"].loc[data.var_names])
    data.write_h5ad(tmp_path / "written.h5ad")
    few = {name: table.iloc[: MIN_GENES - 1] for name, table in sums.items()}
    assert pseudobulk_samples(few, proportions, covariate_table([])) is None


def write_named_sums(folder: Path, **named: tuple[list[str], list[str]]) -> dict[str, pd.DataFrame]:
    """Counts of sections with these identifiers and symbols: gene number n of the ids E0, E1, … has 100 + n."""
    paths = {}
    for sample, (ids, symbols) in named.items():
        paths[sample] = folder / f"{sample}_pseudobulk.csv"
        counts = [100.0 + int("".join(filter(str.isdecimal, text))) for text in (ids if ids[0][0] == "E" else symbols)]
        pd.DataFrame({"gene": symbols, "gene_id": ids, "1": counts}).to_csv(paths[sample], index=False)
    return read_sums(paths)


IDS, SYMBOLS = [f"E{n}" for n in range(60)], [f"g{n}" for n in range(60)]


def test_genes_of_one_name_are_told_apart_by_their_identifiers(tmp_path: Path) -> None:
    """Two genes are called DUP, and made unique by their order, which differs between the sections."""
    names = ["DUP", "DUP-1", *SYMBOLS[2:]]
    sums = write_named_sums(tmp_path, a=(IDS, names), b=(["E1", "E0", *IDS[2:]], names))
    proportions = proportion_table({"a": {"1": 7}, "b": {"1": 4}}, common=True)
    data = pseudobulk_samples(sums, proportions, covariate_table([]))
    assert data.var["gene_ids"].to_dict() == dict(zip(names, IDS, strict=True))
    assert data.X[0].tolist() == data.X[1].tolist() == [100 + n for n in range(60)]


def test_sections_with_identifiers_or_symbols_alone_share_their_genes(tmp_path: Path) -> None:
    """A section with both tells which identifier of one is which symbol of another, wherever it stands."""
    named = {"ids": (IDS, IDS), "symbols": (SYMBOLS, SYMBOLS), "both": (IDS[:55], SYMBOLS[:55])}
    sums = write_named_sums(tmp_path, **named, last=([f"E{n}.7" for n in range(60)], SYMBOLS))
    proportions = proportion_table({name: {"1": 9} for name in sums}, common=True)
    sums["last"] = sums["last"].assign(**{"1": range(100, 160)})
    data = pseudobulk_samples(sums, proportions, covariate_table([]))
    assert list(data.var_names) == SYMBOLS[:55] and set(data.obs["sample"]) == set(sums)
    np.testing.assert_array_equal(data.X, np.tile(np.arange(100, 155), (4, 1)))
    called = [*SYMBOLS[:55], *IDS[55:]]  # nothing tells the symbols of the last five
    assert common_genes(sums)["ids"]["gene"].to_dict() == dict(zip(IDS, called, strict=True))


def test_versions_and_genomes_of_identifiers_play_no_part(tmp_path: Path) -> None:
    """Nothing has symbols; genes are called as in the first section."""
    plain = [f"ENSG{n:011}" for n in range(60)]
    named = {"a": [f"{gene}.7" for gene in plain], "b": [f"GRCh38_{gene}" for gene in plain], "c": plain}
    paths = {sample: tmp_path / f"{sample}.csv" for sample in named}
    for sample, genes in named.items():
        pd.DataFrame({"gene": genes, "gene_id": genes, "1": range(100, 160)}).to_csv(paths[sample], index=False)
    sums = read_sums(paths)
    proportions = proportion_table({name: {"1": 9} for name in sums}, common=True)
    data = pseudobulk_samples(sums, proportions, covariate_table([]))
    assert list(data.var_names) == data.var["gene_ids"].tolist() == named["a"]
    np.testing.assert_array_equal(data.X, np.tile(np.arange(100, 160), (3, 1)))


def test_why_there_are_no_counts_of_all_samples(tmp_path: Path) -> None:
    other = [f"E{n}" for n in range(50, 110)], [f"g{n}" for n in range(50, 110)]
    sums = write_named_sums(tmp_path, a=(IDS, SYMBOLS), other=other, b=(IDS, SYMBOLS))
    proportions = proportion_table({name: {"1": 9} for name in sums}, common=True)
    assert pseudobulk_samples(sums, proportions, covariate_table([])) is None
    reason = why_left_out(sums)
    assert "3 sections have 10 genes in common" in reason and reason.endswith("is other.")
    empty = samples_without_genes(sums, proportions, covariate_table([]))
    empty.write_h5ad(tmp_path / "p.h5ad", compression="gzip")
    assert anndata.read_h5ad(tmp_path / "p.h5ad").shape == (3, 0) and empty.obs["n_spots"].tolist() == [9, 9, 9]
    assert why_left_out({name: sums[name] for name in "ab"}) == "" == why_left_out({})


def test_genes_that_are_numbers_in_one_sample(tmp_path: Path) -> None:
    for sample, more in {"s0": [], "s1": ["ONLY"]}.items():
        genes = pd.Index([*map(str, range(100, 160)), *more], name="gene")
        pd.DataFrame({"1": 5}, genes).to_csv(tmp_path / f"{sample}.csv")
    sums = read_sums({sample: tmp_path / f"{sample}.csv" for sample in ("s0", "s1")})
    proportions = proportion_table({"s0": {"1": 7}, "s1": {"1": 4}}, common=True)
    assert list(pseudobulk_samples(sums, proportions, covariate_table([])).var_names) == [*map(str, range(100, 160))]


def test_pydeseq2_takes_the_pseudobulk_as_it_is(tmp_path: Path) -> None:
    """The planted genes, and no others to speak of, differ between treated samples and others."""
    from pydeseq2.dds import DeseqDataSet  # takes seconds
    from pydeseq2.ds import DeseqStats

    rows = [row(f"s{number}", treated="yes" if number % 2 else "no") for number in range(8)]
    proportions = proportion_table({f"s{number}": {"1": 50, "2": 50} for number in range(8)}, common=True)
    pseudobulk_samples(cohort_sums(tmp_path, 8), proportions, covariate_table(rows)).write_h5ad(tmp_path / "p.h5ad")
    data = anndata.read_h5ad(tmp_path / "p.h5ad")
    fitted = DeseqDataSet(adata=data[data.obs["domain"] == "1"].copy(), design="~treated", quiet=True, n_cpus=1)
    fitted.deseq2()
    results = DeseqStats(fitted, contrast=["treated", "yes", "no"], quiet=True, n_cpus=1)
    results.summary()
    found = results.results_df["padj"] < 0.05
    assert found.iloc[:10].all() and found.iloc[10:].sum() <= 3
