"""describe_domains.py through its command line."""

import json
import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from tests.support.places import BIN, REAL

from efnst.program.arrays import stored_arrays
from efnst.records.arrays import EMBEDDING_SAMPLE_NPZ

PROGRAM = BIN / "describe_domains.py"


def describe(section: anndata.AnnData, folder: Path, *options: str) -> subprocess.CompletedProcess:
    """Run the program on `section`, without UMAP unless asked for (it compiles); results go to folder/out."""
    section.write_h5ad(folder / "s1.h5ad")
    files = "--domains", folder / "s1.h5ad", "--outdir", folder / "out"
    command = [PROGRAM, "--sample", "s1", *files, "--umap_spots", "0", *options]
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)


@pytest.fixture
def section() -> anndata.AnnData:
    """100 spots on a square grid in domains of 60, 39 and 1; MARK is high in domain 2, RARE is seen in two spots."""
    positions = 30.0 * np.indices((10, 10)).reshape(2, -1).T
    domain = np.repeat(["1", "2"], [60, 40])
    domain[99] = "3"
    counts = np.random.default_rng(2).poisson(1.5, (100, 30))
    counts[domain == "2", 4] += 12
    counts[:, 7] = 0
    counts[:2, 7] = 1
    genes = [f"G{number}" for number in range(30)]
    genes[4], genes[7], genes[9] = "MARK", "RARE", "NA"
    obs = pd.DataFrame({"efnst": pd.Categorical(domain)}, index=[f"B{number}-1" for number in range(100)])
    data = anndata.AnnData(sp.csr_matrix(counts.astype(np.int32)), obs=obs, obsm={"spatial": positions})
    data.var_names = genes
    data.uns["section"] = {"sample": "s1", "pitch_px": 30.0}
    data.obsm["X_efnst"] = np.log1p(counts[:, :6]).astype(np.float32)
    return data


def test_planted_gene_is_first_everywhere(section: anndata.AnnData, tmp_path: Path) -> None:
    describe(section, tmp_path, "--n_markers", "3")
    markers = pd.read_csv(tmp_path / "out" / "markers.csv", dtype={"domain": str}, keep_default_na=False)
    columns = ["domain", "gene", "score", "log2_fold_change", "p_value", "p_adjusted", "fraction_in", "fraction_out"]
    assert list(markers.columns) == columns
    assert markers[markers["domain"] == "2"]["gene"].iloc[0] == "MARK"
    assert markers.groupby("domain").size().to_dict() == {"1": 3, "2": 3}
    spatial = pd.read_csv(tmp_path / "out" / "spatial_genes.csv", keep_default_na=False)
    assert list(spatial.columns) == ["gene", "morans_i", "p_value", "p_adjusted"]
    assert spatial["gene"][0] == "MARK"
    assert len(spatial) == 29
    assert "RARE" not in set(spatial["gene"])
    assert "NA" in set(spatial["gene"])


def test_a_single_domain_says_that_nothing_is_outside_it(section: anndata.AnnData, tmp_path: Path) -> None:
    section.obs["efnst"] = pd.Categorical(["1"] * section.n_obs)
    describe(section, tmp_path)
    description = json.loads((tmp_path / "out" / "description.json").read_text())
    assert description["notes"] == ["Domain 1 has too few spots outside it to be tested for markers."]


def test_description(section: anndata.AnnData, tmp_path: Path) -> None:
    describe(section, tmp_path)
    description = json.loads((tmp_path / "out" / "description.json").read_text())
    assert description["sample"] == "s1"
    assert description["n_genes_tested"] == 29
    assert description["top_markers"]["2"][0] == "MARK"
    assert description["top_markers"]["3"] == []
    assert description["top_spatial_genes"][0] == "MARK"
    assert description["notes"] == ["Domain 3 has too few spots to be tested for markers."]
    adjacency = description["adjacency"]
    assert adjacency["domains"] == ["1", "2", "3"]
    # The last spot of the corner touches three others, all of domain 2; 342 pairs touch on a 10 x 10 grid.
    assert adjacency["pairs"][2] == [0, 3, 0]
    assert sum(adjacency["pairs"][a][b] for a in range(3) for b in range(a, 3)) == 342
    assert adjacency["enrichment"][2][2] is None
    assert adjacency["z_score"][0][0] > 3 > 0 > adjacency["z_score"][0][1] and adjacency["n_permutations"] == 1000
    dots = description["dot_plot"]
    assert dots["genes"][3] == "MARK"
    assert dots["mean"][1][3] > dots["mean"][0][3] and dots["fraction"][1][3] == 1


def test_gene_sets_and_how_domains_lie_to_each_other(section: anndata.AnnData, tmp_path: Path) -> None:
    sets = {"=UP": ["mark", "G1", "G2", "G3", "G5"], "FEW": ["G1", "G2"]}
    (tmp_path / "sets.gmt").write_text("".join(f"{name}\tx\t{chr(9).join(genes)}\n" for name, genes in sets.items()))
    describe(section, tmp_path, "--gene_sets", str(tmp_path / "sets.gmt"))
    description = json.loads((tmp_path / "out" / "description.json").read_text())
    assert description["notes"][0].endswith("were tested here: FEW.") and len(description["notes"]) == 2
    activity = pd.read_csv(tmp_path / "out" / "gene_sets.csv", dtype={"domain": str}).set_index("domain")
    assert set(activity["gene_set"]) == {"'=UP"} and set(activity["n_genes"]) == {5}
    assert activity.loc["2", "activity"] > 1 > activity.loc["1", "activity"]
    assert description["gene_sets"]["names"] == ["=UP"] and description["gene_sets"]["domains"] == ["1", "2", "3"]
    np.testing.assert_allclose(np.ravel(description["gene_sets"]["activity"]), activity["activity"], atol=1e-4)
    graph = pd.read_csv(tmp_path / "out" / "domain_graph.csv", dtype={"domain_1": str, "domain_2": str})
    assert graph[["domain_1", "domain_2"]].to_numpy().tolist() == [["1", "2"], ["1", "3"], ["2", "3"]]
    assert graph["touching_pairs"].tolist() == [
        description["adjacency"]["pairs"][a][b] for a, b in ((0, 1), (0, 2), (1, 2))
    ]
    assert graph["connectivity"][0] == pytest.approx(description["adjacency"]["connectivity"][0][1], abs=1e-4)
    assert graph["connectivity"][1] > graph["connectivity"][2]  # the last spot has no more of MARK than domain 1
    sample = stored_arrays(tmp_path / "out" / "embedding_sample.npz", EMBEDDING_SAMPLE_NPZ)
    assert list(sample["barcodes"]) == list(section.obs_names) and list(sample["domain"]) == list(section.obs["efnst"])
    np.testing.assert_array_equal(sample["embedding"], section.obsm["X_efnst"])


def test_pseudobulk_and_layout_hold_every_gene_and_spot(section: anndata.AnnData, tmp_path: Path) -> None:
    describe(section, tmp_path, "--umap_spots", "40")
    sums = pd.read_csv(tmp_path / "out" / "s1_pseudobulk.csv", index_col="gene", keep_default_na=False)
    assert sums.shape == (30, 3) and list(sums.columns) == ["1", "2", "3"]
    assert sums.loc["MARK", "2"] == section.X[60:99, 4].sum()
    assert sums.to_numpy().sum() == section.X.sum()
    layout = pd.read_csv(tmp_path / "out" / "umap.csv")
    assert len(layout) == 40 and set(layout["barcode"]) <= set(section.obs_names)
    assert np.isfinite(layout[["umap_1", "umap_2"]].to_numpy()).all()
    describe(section, tmp_path)
    assert (tmp_path / "out" / "umap.csv").read_text() == "barcode,umap_1,umap_2\n"


def test_the_pseudobulk_has_identifiers_where_they_are_known(section: anndata.AnnData, tmp_path: Path) -> None:
    section.var["gene_ids"] = [f"ENSG{number}" for number in range(30)]
    describe(section, tmp_path)
    sums = pd.read_csv(tmp_path / "out" / "s1_pseudobulk.csv", index_col="gene", keep_default_na=False)
    assert list(sums.columns) == ["gene_id", "1", "2", "3"] and sums.loc["MARK", "gene_id"] == "ENSG4"
    assert sums.loc["MARK", "2"] == section.X[60:99, 4].sum()


def test_real_section_with_its_labels_as_domains(tmp_path: Path) -> None:
    """White matter of the cortex is identified by myelin genes, which also vary most over the section."""
    folder = REAL / "dlpfc_151673"
    if not folder.is_dir():
        pytest.skip(f"no {folder}: set EFNST_TEST_DATA")
    import scanpy

    data = scanpy.read_10x_h5(folder / "filtered_feature_bc_matrix.h5")
    data.var_names_make_unique()
    labels = pd.read_csv(folder / "labels.csv", index_col=0).iloc[:, 0].dropna()
    positions = pd.read_csv(folder / "spatial" / "tissue_positions_list.csv", header=None, index_col=0)
    data = data[data.obs_names.isin(labels.index)].copy()
    data.obs["efnst"] = pd.Categorical(labels[data.obs_names])
    data.obsm["spatial"] = positions.loc[data.obs_names, [5, 4]].to_numpy(float)
    steps = np.hypot(*(data.obsm["spatial"] - data.obsm["spatial"][0]).T)
    data.uns["section"] = {"sample": "s1", "pitch_px": float(np.sort(steps)[1])}
    describe(data, tmp_path)
    description = json.loads((tmp_path / "out" / "description.json").read_text())
    assert {"MBP", "PLP1"} <= set(description["top_markers"]["WM"])
    assert {"MBP", "PLP1"} <= set(description["top_spatial_genes"])
    enrichment = np.array(description["adjacency"]["enrichment"], dtype=float)
    assert (np.diag(enrichment) > 2).all()
