"""apply_reference.py and assign_domains.py: what is told of tissue that a reference does not have."""

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse
from tests.support.options import chosen

import apply_reference
import assign_domains
import fit_domains
import learn_embedding


@pytest.fixture(scope="module")
def found(
    simulated_section: Callable[..., AnnData], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, np.ndarray]:
    """Results of a section in a fifth of which genes trade places, and where, with a reference that has names."""
    folder, tissue = tmp_path_factory.mktemp("novel"), simulated_section(600, 120)
    tissue.obs["total_counts"] = np.asarray(tissue.X.sum(1)).ravel()
    sections = {"a": tissue[::2].copy(), "b": tissue[1::2].copy(), "new": tissue[::2].copy()}
    new = sections["new"].obsm["spatial"][:, 0] <= np.quantile(sections["new"].obsm["spatial"][:, 0], 0.2)
    counts = sections["new"].X.toarray()
    counts[new] = counts[new][:, np.random.default_rng(0).permutation(120)]
    sections["new"].X = sparse.csr_matrix(counts)
    files = {name: folder / f"{name}.h5ad" for name in sections}
    for name, section in sections.items():
        section.write_h5ad(files[name])
    quick = chosen(learn_embedding.main, n_seeds=2, epochs=30, device="cpu", n_genes=80)
    known = [files[name] for name in "ab"]
    learn_embedding.main(["a", "b"], known, space=folder / "space", outdir=folder, **quick)
    embeddings = [folder / name / "embedding.npz" for name in "ab"]
    options = chosen(fit_domains.main, n_domains=3, learn_labels=True)
    fit_domains.main(["a", "b"], known, embeddings, folder / "space", outdir=folder, **options)
    shared = {"reference": folder / "reference"}
    apply_reference.main("new", files["new"], **shared, outdir=folder)
    arrays = folder / "embedding.npz", folder / "training.json"
    shared["reference_fit"] = folder / "reference_fit.json"
    assign_domains.main("new", files["new"], *arrays, **shared, outdir=folder, **chosen(assign_domains.main))
    return folder, new


def test_what_is_no_domain_has_no_name_and_no_confidence(found: tuple[Path, np.ndarray]) -> None:
    folder, new = found
    table, record = pd.read_csv(folder / "domains.csv"), json.loads((folder / "domains.json").read_text())
    novel = (table["domain"] == 0).to_numpy()
    assert novel[new].mean() > 0.8 and novel[~new].mean() < 0.1
    assert set(table["name"][novel]) == {"unknown"} and (table["name"][~novel] != "unknown").mean() > 0.8
    for column in ("confidence", "name_probability"):
        assert table[column][novel].isna().all() and table[column][~novel].notna().all()
    section = anndata.read_h5ad(folder / "new.h5ad")
    assert np.array_equal(section.obs["efnst_confidence"].isna(), novel)
    assert np.array_equal(section.obs["efnst_name"] == "unknown", table["name"] == "unknown")
    assert record["names"]["0"] == "unknown" and "unknown" not in {record["names"][name] for name in "12"}


def test_what_is_no_domain_is_not_counted_as_one(found: tuple[Path, np.ndarray]) -> None:
    record = json.loads((found[0] / "domains.json").read_text())
    assert record["n_domains_found"] == record["methods"]["efnst"]["n_domains"] == len(record["sizes"]) - 1 == 3


@pytest.mark.parametrize("how", ["genes trade places", "spots trade places", "noise"])
def test_a_section_of_other_tissue_is_novel_throughout(
    found: tuple[Path, np.ndarray], how: str, tmp_path: Path
) -> None:
    """Without what tells the domains apart units lie amid all of them, and far from none."""
    reference, section = found[0] / "reference", anndata.read_h5ad(found[0] / "a.h5ad")
    random, counts = np.random.default_rng(0), section.X.toarray()
    if how == "genes trade places":
        counts = counts[:, random.permutation(section.n_vars)]
    elif how == "spots trade places":
        counts = random.permutation(counts)
    else:
        counts = random.poisson(np.outer(counts.sum(1), counts.sum(0)) / counts.sum())
    section.X = sparse.csr_matrix(counts.astype(np.int32))
    section.write_h5ad(tmp_path / "other.h5ad")
    apply_reference.main("other", tmp_path / "other.h5ad", reference, outdir=tmp_path)
    arrays = tmp_path / "embedding.npz", tmp_path / "training.json"
    shared = {"reference": reference, "reference_fit": tmp_path / "reference_fit.json", "outdir": tmp_path}
    assign_domains.main("other", tmp_path / "other.h5ad", *arrays, **shared, **chosen(assign_domains.main))
    table, fit = pd.read_csv(tmp_path / "domains.csv"), json.loads((tmp_path / "domains.json").read_text())["fit"]
    assert (table["domain"] == 0).all() and (table["name"] == "unknown").all() and (table["novelty"] == 1).all()
    assert fit["verdict"] == "fail" and fit["structure"] < 0.2 and fit["novel"] == 1
