"""assign_domains.py: its files, scores, and what it refuses."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

import assign_domains
import learn_embedding
from efnst.domains.clustering import cluster
from efnst.domains.options import DomainOptions
from efnst.embedding.options import TrainingOptions
from efnst.errors import EfnstError
from efnst.program.arrays import read_arrays, write_arrays
from efnst.records.arrays import EMBEDDING_NPZ

N_DOMAINS = 4
SCORES = {"ari", "ami", "nmi", "homogeneity", "completeness", "v_measure"}


def assign(
    section: Path, embedding: Path, outdir: Path, **options: object
) -> tuple[anndata.AnnData, dict, pd.DataFrame]:
    """The sample's .h5ad, domains.json and domains.csv."""
    chosen = DomainOptions(**{"n_domains": N_DOMAINS} | options)
    outdir.mkdir(exist_ok=True)
    training = embedding.with_name("training.json")
    assign_domains.main(
        sample="S1", section=section, embedding=embedding, training=training, outdir=outdir, options=chosen
    )
    record = json.loads((outdir / "domains.json").read_text())
    return anndata.read_h5ad(outdir / "S1.h5ad"), record, pd.read_csv(outdir / "domains.csv")


@pytest.fixture(scope="module")
def outdir(section_file: Path, embedding_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    outdir = tmp_path_factory.mktemp("assigned")
    assign(section_file, embedding_file, outdir)
    return outdir


@pytest.fixture(scope="module")
def final(outdir: Path) -> anndata.AnnData:
    return anndata.read_h5ad(outdir / "S1.h5ad")


@pytest.fixture(scope="module")
def table(outdir: Path) -> pd.DataFrame:
    return pd.read_csv(outdir / "domains.csv")


@pytest.fixture(scope="module")
def record(outdir: Path) -> dict:
    return json.loads((outdir / "domains.json").read_text())


def test_the_table(table: pd.DataFrame, section_file: Path) -> None:
    assert list(table.columns) == ["barcode", "domain", "confidence", "leiden", "diffused"]
    assert table["barcode"].tolist() == list(anndata.read_h5ad(section_file).obs_names)
    sizes = table["domain"].value_counts()
    assert sorted(sizes.index) == [1, 2, 3, 4]
    assert sizes.loc[[1, 2, 3, 4]].is_monotonic_decreasing, "domains are numbered by falling size"
    assert table["confidence"].between(0, 1).all() and table["confidence"].median() > 0.5
    for name in ("leiden", "diffused"):
        assert table[name].min() >= 1 and table[name].nunique() == N_DOMAINS


def test_the_final_section_holds_the_counts_unchanged(final: anndata.AnnData, section_file: Path) -> None:
    section = anndata.read_h5ad(section_file)
    assert final.X.dtype == section.X.dtype == np.int32 and (final.X != section.X).nnz == 0
    assert list(final.obs_names) == list(section.obs_names) and final.var.equals(section.var)
    assert np.array_equal(final.obsm["spatial"], section.obsm["spatial"])
    assert final.obs[section.obs.columns].equals(section.obs)
    assert final.uns["section"] == section.uns["section"] and set(final.uns["qc"]) == set(section.uns["qc"])


def test_the_final_section_holds_every_field(
    final: anndata.AnnData, table: pd.DataFrame, embedding_file: Path, record: dict
) -> None:
    for column, name in (("efnst", "domain"), ("leiden", "leiden"), ("diffused", "diffused")):
        assert list(final.obs[column].cat.categories) == [str(number) for number in range(1, N_DOMAINS + 1)]
        assert final.obs[column].astype(int).tolist() == table[name].tolist()
    assert final.obs["efnst_confidence"].to_numpy() == pytest.approx(table["confidence"].to_numpy(), abs=1e-4)
    arrays = read_arrays(embedding_file, EMBEDDING_NPZ, final.obs_names.to_numpy())
    assert any(np.array_equal(final.obsm["X_efnst"], arrays[name]) for name in ("embedding_0", "embedding_1"))
    names = {"diffused": "X_diffused", "expression": "X_pca", "image_pcs": "X_image"}
    for name, key in names.items():
        assert np.array_equal(final.obsm[key], arrays[name]), key
    provenance = final.uns["efnst"]
    parts = {"parameters", "asked", "versions", "seed", "training", "domains", "devices", "image", "inputs"}
    assert set(provenance) == parts
    assert provenance["parameters"]["n_domains"] == N_DOMAINS and provenance["parameters"]["epochs"] == 30
    assert provenance["asked"]["n_domains"] == N_DOMAINS and provenance["asked"]["min_counts_per_spot"] == 1
    assert provenance["parameters"]["clustering"] == "mixture" and provenance["seed"] == 0
    assert {"efnst", "python", "torch", "scikit-learn", "leidenalg", "anndata"} <= set(provenance["versions"])
    assert len(provenance["training"]["loss"]["reconstruction"]) == 30
    assert provenance["domains"]["n_domains_found"] == record["n_domains_found"] == N_DOMAINS


def test_the_record(record: dict, table: pd.DataFrame, section_file: Path) -> None:
    labels = anndata.read_h5ad(section_file).obs["label"]
    assert record["sample"] == "S1" and record["clustering"] == "mixture"
    assert (record["n_domains_asked"], record["n_domains_found"]) == (N_DOMAINS, N_DOMAINS)
    assert (record["refinement_rounds"], record["refined"], record["seed"]) == (2, True, 0)
    sizes = table["domain"].value_counts()
    assert record["sizes"] == {str(number): int(sizes[number]) for number in range(1, N_DOMAINS + 1)}
    assert record["n_labelled"] == labels.notna().sum()
    assert set(record["methods"]) == {"efnst", "leiden", "diffused"}
    for name, method in record["methods"].items():
        runs = {"n_runs", "stability", "ari_of_runs"} if name == "efnst" else set()
        expected = SCORES | runs | {"n_domains", "how", "chaos", "pas", "silhouette", "best_matches", "confusion"}
        assert expected == set(method)
        assert np.sum(method["confusion"]["data"]) == record["n_labelled"]
        assert method["n_domains"] == N_DOMAINS
    assert "Leiden" in record["methods"]["leiden"]["how"]
    efnst = record["methods"]["efnst"]
    assert efnst["n_runs"] == len(efnst["ari_of_runs"]) == 2 and -1 <= efnst["stability"] <= 1


def test_scores_are_those_of_scikit_learn(record: dict, table: pd.DataFrame, final: anndata.AnnData) -> None:
    from sklearn.metrics import adjusted_rand_score, silhouette_score

    columns = {"efnst": ("domain", "X_efnst"), "leiden": ("leiden", "X_pca"), "diffused": ("diffused", "X_diffused")}
    for name, (column, space) in columns.items():
        found, domains = record["methods"][name], table[column]
        assert found["ari"] == pytest.approx(adjusted_rand_score(final.obs["label"], domains))
        assert found["silhouette"] == pytest.approx(silhouette_score(final.obsm[space], domains), abs=1e-5)
    assert record["methods"]["efnst"]["ari"] > 0.4, "the simulated regions are found by short trainings on 250 spots"


def test_ignored_labels_are_left_out(
    section_file: Path, embedding_file: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    from sklearn.metrics import adjusted_rand_score

    labels = anndata.read_h5ad(section_file).obs["label"]
    ignored = list(labels.cat.categories[:2])
    final, record, again = assign(section_file, embedding_file, tmp_path, ignore_labels=f" {ignored[0]}, {ignored[1]},")
    assert record["ignore_labels"] == ignored
    kept = ~labels.isin(ignored).to_numpy()
    assert record["n_labelled"] == kept.sum() < len(labels)
    assert record["methods"]["efnst"]["ari"] == pytest.approx(adjusted_rand_score(labels[kept], table["domain"][kept]))
    assert again.equals(table), "labels have no say in the domains"
    assert final.obs["label"].equals(labels)


def test_without_labels_there_are_no_scores(
    section_file: Path, embedding_file: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    section = anndata.read_h5ad(section_file)
    del section.obs["label"]
    section.write_h5ad(tmp_path / "section.h5ad")
    _, record, again = assign(tmp_path / "section.h5ad", embedding_file, tmp_path / "out")
    assert record["n_labelled"] == 0 and again.equals(table)
    for method in record["methods"].values():
        assert not SCORES & set(method) and {"chaos", "pas"} <= set(method)


def test_spots_without_label_are_not_scored(section_file: Path, embedding_file: Path, tmp_path: Path) -> None:
    section = anndata.read_h5ad(section_file)
    section.obs.loc[section.obs_names[:50], "label"] = None
    section.write_h5ad(tmp_path / "section.h5ad")
    final, record, _ = assign(tmp_path / "section.h5ad", embedding_file, tmp_path / "out")
    assert record["n_labelled"] == section.n_obs - 50
    assert final.obs["label"].isna().sum() == 50


@pytest.mark.parametrize("clustering", ["mixture", "kmeans", "leiden"])
def test_confidence_of_a_single_training_is_the_mixture_s(
    section_file: Path, embedding_file: Path, tmp_path: Path, clustering: str
) -> None:
    arrays = read_arrays(embedding_file, EMBEDDING_NPZ, anndata.read_h5ad(section_file).obs_names.to_numpy())
    barcodes = anndata.read_h5ad(section_file).obs_names.to_numpy()
    arrays["embedding_0"] = arrays.pop("embedding_1")
    write_arrays(tmp_path / "embedding.npz", EMBEDDING_NPZ, barcodes, **arrays)
    (tmp_path / "training.json").write_bytes(embedding_file.with_name("training.json").read_bytes())
    final, record, table = assign(
        section_file, tmp_path / "embedding.npz", tmp_path, clustering=clustering, untrained_views=False
    )
    assert record["clustering"] == clustering and "stability" not in record["methods"]["efnst"]
    if clustering == "mixture":
        options = DomainOptions()
        how = options.clustering, options.seed, final.obsm["spatial"], options.spatial_prior
        largest = cluster(arrays["embedding_0"], N_DOMAINS, *how).probabilities.max(1)
        found = table["confidence"].to_numpy()
        assert table["confidence"].between(0, 1).all() and table["confidence"].nunique() > 20
        assert np.isclose(found, largest, atol=1e-4).mean() > 0.9, "but for spots that refinement moved"
        assert (found <= largest + 1e-4).all() and largest.min() < 0.99
    else:
        assert table["confidence"].isna().all() and final.obs["efnst_confidence"].isna().all()
    assert table["domain"].nunique() == record["n_domains_found"] == N_DOMAINS


def test_confidence_is_the_share_of_votes_that_agree(
    section_file: Path, embedding_file: Path, tmp_path: Path, table: pd.DataFrame
) -> None:
    """Of those that voted of two trainings and six views."""
    record = assign(section_file, embedding_file, tmp_path)[1]
    members = record["evidence"]["members"]
    assert [member["kind"] for member in members] == ["training"] * 2 + ["view"] * 6
    weights = np.array([member["weight"] for member in members])
    agreeing = np.array(list(itertools.product([0, 1], repeat=8))) @ weights / weights.sum()
    apart = np.abs(table["confidence"].to_numpy()[:, None] - agreeing).min(1)
    assert (weights == 1).sum() >= 4 and apart.max() <= 0.00005 + 1e-9 and len(set(table["confidence"])) > 2


def test_refinement_can_be_left_out(section_file: Path, embedding_file: Path, tmp_path: Path, record: dict) -> None:
    _, rough, _ = assign(section_file, embedding_file, tmp_path, refinement_rounds=0)
    assert rough["refined"] is False and rough["refinement_rounds"] == 0
    assert rough["methods"]["efnst"]["pas"] > record["methods"]["efnst"]["pas"]


def test_a_section_without_an_image(section_file: Path, tmp_path: Path) -> None:
    learn_embedding.main(
        sample=["S1"], section=[section_file], outdir=tmp_path, training=TrainingOptions(n_seeds=1, epochs=3)
    )
    final, _, table = assign(section_file, tmp_path / "S1" / "embedding.npz", tmp_path)
    assert set(final.obsm) == {"spatial", "X_efnst", "X_diffused", "X_pca"}
    assert table["domain"].nunique() == N_DOMAINS


def test_without_a_number_of_domains_one_is_chosen(section_file: Path, embedding_file: Path, tmp_path: Path) -> None:
    final, record, table = assign(section_file, embedding_file, tmp_path, n_domains=None, max_domains=6)
    choice = record["choice"]
    assert set(choice) == {"n_domains", "runner_up", "flat", "supported", "curve"}
    assert set(choice["curve"]) == {"n_domains", "stability", "sd", "se", "gain", "gain_se"}
    assert choice["curve"]["n_domains"] == [2, 3, 4, 5, 6] and choice["runner_up"] != choice["n_domains"]
    assert record["n_domains_asked"] == choice["n_domains"] >= table["domain"].nunique() > 1
    provenance = final.uns["efnst"]
    assert provenance["number_of_domains"].to_dict("list") == choice["curve"]
    assert provenance["parameters"]["n_domains"] == choice["n_domains"]

    given, same, _ = assign(section_file, embedding_file, tmp_path / "given", n_domains=choice["n_domains"])
    assert given.obs["efnst"].equals(final.obs["efnst"]) and same == {k: v for k, v in record.items() if k != "choice"}


def test_an_embedding_of_another_section_is_refused(section_file: Path, embedding_file: Path, tmp_path: Path) -> None:
    barcodes = anndata.read_h5ad(section_file).obs_names.to_numpy()
    arrays = read_arrays(embedding_file, EMBEDDING_NPZ, barcodes)
    other = tmp_path / "embedding.npz"
    write_arrays(other, EMBEDDING_NPZ, np.roll(barcodes, 1), **arrays)
    (tmp_path / "training.json").write_bytes(embedding_file.with_name("training.json").read_bytes())
    with pytest.raises(EfnstError, match=r"Expected `embedding\.npz` to hold the \d+ spots of this section"):
        assign(section_file, other, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_an_unknown_clustering(section_file: Path, embedding_file: Path, tmp_path: Path) -> None:
    with pytest.raises(
        EfnstError, match='parameter --clustering: found "mclust", expected one of mixture, leiden, kmeans'
    ):
        assign(section_file, embedding_file, tmp_path, clustering="mclust")


@pytest.mark.parametrize("as_record", [False, True])
def test_more_domains_than_spots(
    start: Callable[..., tuple[int, str]],
    section_file: Path,
    embedding_file: Path,
    tmp_path: Path,
    as_record: bool,
) -> None:
    failure = tmp_path / "failure.json"
    few = anndata.read_h5ad(section_file)[:60].copy()
    few.write_h5ad(tmp_path / "few.h5ad")
    with np.load(embedding_file) as arrays:
        few = {name: values[:60] for name, values in arrays.items()}
        write_arrays(tmp_path / "few.npz", EMBEDDING_NPZ, few.pop("barcodes"), **few)
    status, messages = start(
        assign_domains.main,
        *("--sample", "S1", "--section", tmp_path / "few.h5ad", "--embedding", tmp_path / "few.npz"),
        *("--training", embedding_file.with_name("training.json"), "--n_domains", 90, "--outdir", tmp_path / "out"),
        *(("--failure", failure) if as_record else ()),
    )
    message = "S1: Expected n_domains to be at most the number of spots (60), found 90."
    assert messages == f"assign_domains: {message}\n"
    assert status == (0 if as_record else 2)
    assert failure.exists() == as_record and not list((tmp_path / "out").iterdir())
    if as_record:
        record = {"sample": "S1", "step": "assign_domains", "reason": message}
        assert json.loads(failure.read_text()) == record
