"""From units back to bins."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from efnst.domains import assign
from efnst.domains.assign import assign_domains
from efnst.domains.assign_shared import with_names
from efnst.domains.bins import bin_domains, domain_profiles, read_bin_domains, read_bins, units_of, write_bins
from efnst.domains.naming import Taught, fit_naming
from efnst.domains.options import DomainOptions
from efnst.domains.results import domain_table
from efnst.domains.vocabulary import fit_vocabulary
from efnst.records.reference import ReferenceFit

SIDE, N_GENES, BORDER = 24, 60, 11  # the border of the two regions runs through units of 2 × 2 bins


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, AnnData, np.ndarray]:
    """A file of bins, its units and the region of each bin."""
    random = np.random.default_rng(0)
    row, column = np.indices((SIDE, SIDE)).reshape(2, -1)
    region = (column >= BORDER).astype(int)
    profile = np.ones((2, N_GENES))
    profile[0, :20], profile[1, 20:40] = 3, 3
    counts = sparse.csr_matrix(random.poisson(profile[region]).astype(np.int32))
    unit = row // 2 * (SIDE // 2) + column // 2
    obs = pd.DataFrame({"unit": unit, "array_row": row, "array_col": column}, [f"b{n}" for n in range(SIDE**2)])
    facts = {"bin_um": 8, "grid": "square", "spot_diameter_px": 16.0, "um_per_px": 0.5}
    bins = AnnData(counts, obs, uns={"section": facts})
    bins.obsm["X_lattice"] = np.column_stack([row, column]) / 2 - 0.25
    bins.write_h5ad(tmp_path / "bins.h5ad")
    member = sparse.csr_array((np.ones(SIDE**2), (unit, np.arange(SIDE**2))))
    places = np.indices((SIDE // 2, SIDE // 2)).reshape(2, -1)
    table = pd.DataFrame({"array_row": places[0], "array_col": places[1], "unit": np.arange(len(places[0]))})
    table.index = "u" + table["unit"].astype(str)
    return tmp_path / "bins.h5ad", AnnData(sparse.csr_matrix(member @ counts), table), region


def shares_of(units: AnnData) -> np.ndarray:
    """Domains of units: those on the border are thrown in with the left region."""
    left = (units.obs["array_col"] <= BORDER // 2).to_numpy()
    return np.column_stack([left, ~left]).astype(float)


def test_borders_follow_bins(made: tuple[Path, AnnData, np.ndarray]) -> None:
    path, units, region = made
    bins = read_bins(path)
    by_unit = shares_of(units).argmax(1)[units_of(bins, units.obs)]
    assert (by_unit != region).sum() == SIDE, "half of the units' border column"
    found, probability = bin_domains(bins, sparse.csr_array(units.X), units.obs, shares_of(units))
    assert (found - 1 != region).sum() <= 2
    assert probability.min() >= 0.5 and probability.mean() > 0.9


def test_a_bin_of_a_unit_that_was_left_out_has_a_domain(made: tuple[Path, AnnData, np.ndarray]) -> None:
    path, units, region = made
    kept = units[np.setdiff1d(np.arange(units.n_obs), [40, 41, 70])].copy()
    bins = read_bins(path)
    found, _ = bin_domains(bins, sparse.csr_array(kept.X), kept.obs, shares_of(kept))
    assert (found - 1 != region).sum() <= 3
    assert (shares_of(kept).argmax(1)[units_of(bins, kept.obs)] >= 0).all()


def test_counts_in_blocks_are_all_counts(
    made: tuple[Path, AnnData, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("efnst.domains.bins.ROWS_AT_ONCE", 100)
    blocks = list(read_bins(made[0]).counts())
    assert [block.shape[0] for block in blocks] == [100] * 5 + [76]
    assert (sparse.vstack(blocks) != anndata.read_h5ad(made[0]).X).nnz == 0


def test_profiles_by_hand() -> None:
    counts, shares = sparse.csr_array([[4, 0], [0, 2]]), np.array([[1.0, 0], [0.5, 0.5]])
    everywhere = np.array([4.1, 2.1]) / 6.2
    expected = np.array([[4, 1], [0, 1]]) + 0.2 * everywhere
    np.testing.assert_allclose(domain_profiles(counts, shares), expected / expected.sum(1, keepdims=True))


def test_the_file_has_counts_and_domains(made: tuple[Path, AnnData, np.ndarray], tmp_path: Path) -> None:
    path, _, region = made
    bins = read_bins(path)
    table = pd.DataFrame({"barcode": bins.barcodes, "domain": region + 1, "confidence": 0.5})
    table[["leiden", "diffused"]] = 1
    write_bins(bins, table, tmp_path / "S_bins.h5ad", AnnData(uns={"efnst": {"seed": 3}, "spatial": {}}))
    written = anndata.read_h5ad(tmp_path / "S_bins.h5ad")
    assert (written.X != anndata.read_h5ad(path).X).nnz == 0
    assert written.obs["efnst"].astype(int).to_numpy().tolist() == (region + 1).tolist()
    assert written.uns["efnst"]["seed"] == 3 and written.uns["section"]["bin_um"] == 8
    assert read_bin_domains(tmp_path / "S_bins.h5ad").obs["efnst"].equals(written.obs["efnst"])
    assert not {"efnst_name", "efnst_name_probability", "efnst_novelty"} & set(written.obs)


def test_the_file_has_names_and_novelty_where_there_are_any(
    made: tuple[Path, AnnData, np.ndarray], tmp_path: Path
) -> None:
    path, _, region = made
    bins = read_bins(path)
    table = pd.DataFrame({"barcode": bins.barcodes, "domain": region + 1, "confidence": 0.5})
    table[["leiden", "diffused"]] = 1
    names = np.where(region > 0, "tumour", "unknown")
    table = table.assign(novelty=0.25, name=names, name_probability=np.linspace(0, 1, len(region)))
    write_bins(bins, table, tmp_path / "S_bins.h5ad", AnnData(uns={"efnst": {}, "spatial": {}}))
    written = anndata.read_h5ad(tmp_path / "S_bins.h5ad").obs
    assert written["efnst_name"].astype(str).tolist() == names.tolist()
    assert written["efnst_name_probability"].tolist() == table["name_probability"].tolist()
    assert set(written["efnst_novelty"]) == {0.25}


@pytest.mark.parametrize("clustering", ["mixture", "leiden"])
@pytest.mark.parametrize("n_runs", [3, 1])
def test_confidence_of_bins_is_the_share_of_their_unit_s_votes(
    made: tuple[Path, AnnData, np.ndarray], n_runs: int, clustering: str
) -> None:
    """For the domain of the bin; empty where the units have none."""
    path, units, _ = made
    units.uns["section"] = {"bin_um": 8.0}
    units.obsm["spatial"] = units.obs[["array_col", "array_row"]].to_numpy(float)
    noise = np.random.default_rng(1).standard_normal((n_runs, units.n_obs, 3))
    arrays = {f"embedding_{run}": 2 * shares_of(units) @ np.eye(2, 3) + each for run, each in enumerate(noise)}
    arrays |= {"expression": noise[0], "diffused": noise[0]}
    options = DomainOptions(n_domains=2, clustering=clustering, untrained_views=False)
    assigned, _ = assign_domains(units, arrays, options, read_bins(path))
    table, rows = domain_table(units.obs_names, assigned), units_of(read_bins(path), units.obs)
    if clustering == "leiden" and n_runs == 1:
        assert table["confidence"].isna().all()
    else:
        same = table["domain"].to_numpy() == assigned.domains[rows]
        agreeing = assigned.confidence[rows]
        assert 0 < same.mean() < 1, "domains are two, so that what is not for one is for the other"
        expected = np.where(same, agreeing, 1 - agreeing)
        assert table["confidence"].to_numpy() == pytest.approx(expected, abs=1e-4)
    assert table["domain_probability"].between(0.5, 1).all() and table["domain_probability"].mean() > 0.9


@pytest.mark.parametrize("rows", [8, 0])
def test_bins_of_novel_units_have_no_domain_and_tell_nothing_of_others(
    made: tuple[Path, AnnData, np.ndarray], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units from row 8 on are of tissue that the reference does not have, or all of them are."""
    path, units, region = made
    units.uns["section"] = {"bin_um": 8.0}
    units.obsm["spatial"] = units.obs[["array_col", "array_row"]].to_numpy(float)
    kind, new = shares_of(units).argmax(1), (units.obs["array_row"] >= rows).to_numpy()
    values = 6 * np.eye(3)[kind] + np.random.default_rng(1).standard_normal((len(kind), 3))
    shared, _ = fit_vocabulary([values], [units.obsm["spatial"]], DomainOptions(n_domains=2))
    taught = Taught(values, np.array(["left", "right"])[kind], np.full(len(kind), True), units.obsm["spatial"])
    values = values + 12 * np.eye(3)[2] * new[:, None]
    given = {}
    monkeypatch.setattr(assign, "bin_domains", lambda *each: given.update(shares=each[3]) or bin_domains(*each))
    fit = ReferenceFit(sample="S", missing_genes=0, depth=1, structure=1, known_batch=True)
    arrays = {"embedding_0": values, "expression": values, "diffused": values}
    assigned, _ = assign_domains(units, arrays, DomainOptions(), read_bins(path), shared, fit)
    assigned, names = with_names(assigned, "", values, units.obsm["spatial"], fit_naming({"S": taught}), 1)
    novel = assigned.domains == 0
    assert novel[new].all() and novel.mean() < new.mean() + 0.15
    table, lost = domain_table(units.obs_names, assigned), novel[units_of(read_bins(path), units.obs)]
    assert np.array_equal(table["domain"] == 0, lost) and np.array_equal(table["confidence"].isna(), lost)
    assert np.array_equal(table["domain_probability"].isna(), lost)
    assert np.array_equal(table["name"] == "unknown", lost) and np.array_equal(table["name_probability"].isna(), lost)
    assert names["0"] == "unknown" and len(names) == (3 if rows else 1)
    if rows:
        assert not given["shares"][novel].any() and given["shares"][~novel].any(1).all()
        right = np.where(region == region[0], table["domain"][0], 3 - table["domain"][0])
        assert (table["domain"] == right)[~lost].mean() > 0.98
