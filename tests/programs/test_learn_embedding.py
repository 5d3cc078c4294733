"""learn_embedding.py: files, seeds, sections with and without an image, and memory on large sections."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pytest
from tests.support.options import chosen

import learn_embedding
from efnst.errors import EfnstError
from efnst.program.arrays import read_arrays, write_arrays
from efnst.records.arrays import EMBEDDING_NPZ, FEATURES_NPZ

Program = Callable[..., subprocess.CompletedProcess]
LARGEST_GB = 4.0  # half of what 60,000 spots may take


def learn(
    section: Path, outdir: Path, features: Path | None = None, **options: object
) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays and record of a short training."""
    defaults = {"n_seeds": 1, "epochs": 5, "device": "cpu"}
    outdir.mkdir(exist_ok=True)
    files = {"section": [section], "features": [str(features or "")], "outdir": outdir}
    learn_embedding.main(sample=["S1"], **files, **chosen(learn_embedding.main, **defaults | options))
    barcodes = anndata.read_h5ad(section).obs_names.to_numpy()
    return read_arrays(outdir / "S1" / "embedding.npz", EMBEDDING_NPZ, barcodes), json.loads(
        (outdir / "S1" / "training.json").read_text()
    )


def test_the_files(embedding_file: Path, section_file: Path) -> None:
    section = anndata.read_h5ad(section_file)
    arrays = read_arrays(embedding_file, EMBEDDING_NPZ, section.obs_names.to_numpy())
    assert {name: values.shape for name, values in arrays.items()} == {
        "embedding_0": (section.n_obs, 25),
        "embedding_1": (section.n_obs, 25),
        "diffused": (section.n_obs, 30),
        "expression": (section.n_obs, 30),
        "image_pcs": (section.n_obs, 50),
        "fused": (section.n_obs, 4),
    }
    assert all(values.dtype == np.float32 and np.isfinite(values).all() for values in arrays.values())
    record = json.loads(embedding_file.with_name("training.json").read_text())
    assert (record["sample"], record["epochs"], record["seed"], record["device"]) == ("S1", 30, 0, "cpu")
    assert record["image"] is True and record["seconds"] > 0
    assert 2 <= record["n_genes_used"] <= section.n_vars
    assert all(len(values) == 30 for values in record["loss"].values())
    assert [run["epochs"] for run in record["runs"]] == [30, 30] and record["parameters"]["n_seeds"] == 2
    assert len({run["seed"] for run in record["runs"]}) == 2
    assert record["parameters"]["expression_pcs"] == 30 and record["parameters"]["learning_rate"] == 0.002
    assert set(record["versions"]) == {"efnst", "python", "torch", "torch-geometric", "scipy", "harmonypy"}


def test_options_arrive(section_file: Path, features_file: Path, tmp_path: Path) -> None:
    options = {
        "min_spots_per_gene": 4,
        "n_genes": 60,
        "expression_pcs": 8,
        "image_pcs": 9,
        "n_neighbours": 3,
        "augmentation": 0.3,
        "graph_neighbours": 5,
        "epochs": 2,
        "learning_rate": 0.001,
        "graph_loss": "published",
        "image_fusion": "weights",
        "image_weight": 0.5,
        "diffusion": 0.7,
        "weigh_by_counts": False,
        "vary_views": False,
        "target": "inputs",
        "embedding": "latent",
        "embedding_dims": 7,
        "tolerance": 0.1,
        "input_noise": 0.2,
        "graph_weight": 0.3,
        "kl_weight": 0.2,
        "decoder": "sigmoid",
        "batch_norm_momentum": 0.05,
        "n_seeds": 2,
        "seed": 11,
    }
    arrays, record = learn(section_file, tmp_path, features=features_file, **options)
    assert arrays["embedding_0"].shape[1] == 20 + 8 and len(record["loss"]["graph"]) == 2
    assert {name: record["parameters"][name] for name in options} == options
    assert record["n_genes_used"] == 60 and arrays["expression"].shape[1] == 8 and arrays["image_pcs"].shape[1] == 9


def test_another_process_writes_the_same_bytes(
    run_program: Program, section_file: Path, features_file: Path, tmp_path: Path
) -> None:
    learn(section_file, tmp_path / "a", features=features_file, seed=4)
    files = ["--section", section_file, "--features", features_file, "--outdir", tmp_path / "b"]
    options = ["--n_seeds", 1, "--epochs", 5, "--seed", 4, "--device", "cpu"]
    done = run_program("learn_embedding.py", "--sample", "S1", *files, *options)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a/S1/embedding.npz").read_bytes() == (tmp_path / "b/S1/embedding.npz").read_bytes()
    learn(section_file, tmp_path / "c", features=features_file, seed=5)
    first, other = (np.load(tmp_path / name / "S1" / "embedding.npz") for name in "ac")
    assert np.array_equal(first["diffused"], other["diffused"]), "what diffusion knows has no chance in it"
    assert not np.allclose(first["embedding_0"], other["embedding_0"], atol=0.01)


@pytest.mark.slow
def test_domains_are_the_same_bytes_with_one_thread_and_with_two(
    run_program: Program, section_file: Path, features_file: Path, tmp_path: Path
) -> None:
    """Learning and assigning twice, each step as its own process, gives the same domains.csv."""
    for name, threads in {"a": 1, "b": 2}.items():
        outdir = tmp_path / name
        done = run_program(
            *("learn_embedding.py", "--sample", "S1", "--section", section_file, "--features", features_file),
            *("--n_seeds", 3, "--epochs", 20, "--seed", 4, "--threads", threads, "--device", "cpu", "--outdir", outdir),
        )
        assert done.returncode == 0, done.stderr
        done = run_program(
            *("assign_domains.py", "--sample", "S1", "--section", section_file, "--n_domains", 4, "--seed", 4),
            *("--embedding", outdir / "S1" / "embedding.npz", "--training", outdir / "S1" / "training.json"),
            *("--outdir", outdir / "S1"),
        )
        assert done.returncode == 0, done.stderr
    for file in ("embedding.npz", "domains.csv"):
        assert (tmp_path / "a/S1" / file).read_bytes() == (tmp_path / "b/S1" / file).read_bytes(), file


def test_without_an_image(section_file: Path, features_file: Path, tmp_path: Path) -> None:
    without, record = learn(section_file, tmp_path / "a")
    arrays, _ = learn(section_file, tmp_path / "b", features=features_file)
    assert "image_pcs" not in without and record["image"] is False
    assert np.array_equal(without["diffused"], arrays["diffused"])
    assert not np.allclose(without["embedding_0"], arrays["embedding_0"], atol=1e-2)


def test_several_sections_without_a_common_space_are_each_learned_alone(
    section_file: Path, features_file: Path, tmp_path: Path
) -> None:
    """One that cannot be learned from leaves the others."""
    (tmp_path / "section.h5ad").write_bytes(b"no HDF5")
    options = chosen(learn_embedding.main, n_seeds=1, epochs=5, device="cpu")
    files = {
        "section": [section_file, tmp_path / "section.h5ad", section_file],
        "features": ["", "", str(features_file)],
    }
    given = {"sample": ["plain", "damaged", "imaged"], "outdir": tmp_path} | files | options
    learn_embedding.main(**given, failures=True)
    learn(section_file, tmp_path / "alone")
    learn(section_file, tmp_path / "alone_imaged", features=features_file)
    for sample, alone in (("plain", "alone/S1"), ("imaged", "alone_imaged/S1")):
        grouped, by_itself = (tmp_path / each / "embedding.npz" for each in (sample, alone))
        assert grouped.read_bytes() == by_itself.read_bytes()
        assert json.loads((tmp_path / sample / "training.json").read_text())["sample"] == sample
    record = json.loads((tmp_path / "damaged" / "failure.json").read_text())
    assert record["step"] == "learn_embedding" and record["reason"].startswith("damaged: ")
    with pytest.raises(EfnstError):
        learn_embedding.main(**given)


def test_patches_of_few_pixels_are_not_fused(section_file: Path, features_file: Path, tmp_path: Path) -> None:
    """How wide the patches are comes with the features."""
    barcodes = anndata.read_h5ad(section_file).obs_names.to_numpy()
    given = read_arrays(features_file, FEATURES_NPZ, barcodes)
    fused = {}
    for patch_um in (190.0, 10.0):
        arrays = given | {"patch_um": np.array([patch_um])}
        write_arrays(tmp_path / "features.npz", FEATURES_NPZ, barcodes, **arrays)
        _, record = learn(section_file, tmp_path, features=tmp_path / "features.npz", epochs=1)
        fused[patch_um] = record["n_image_components_fused"]
    assert fused[190.0] > 0 and fused[10.0] == 0


def test_networks_are_kept_only_where_asked(section_file: Path, tmp_path: Path) -> None:
    for name, kept in {"a": False, "b": True}.items():
        _, record = learn(section_file, tmp_path / name, epochs=1, save_model=kept)
        assert (tmp_path / name / "S1" / "model.pt").exists() == kept
        assert "models" not in record and all("model" not in run for run in record["runs"])


def test_features_of_another_section_are_refused(section_file: Path, features_file: Path, tmp_path: Path) -> None:
    barcodes = anndata.read_h5ad(section_file).obs_names.to_numpy()
    arrays = read_arrays(features_file, FEATURES_NPZ, barcodes)
    write_arrays(tmp_path / "features.npz", FEATURES_NPZ, barcodes[::-1], **arrays)
    with pytest.raises(EfnstError, match=r"Expected `features\.npz` to hold the \d+ spots of this section"):
        learn(section_file, tmp_path, features=tmp_path / "features.npz")


def test_too_few_spots_leave_no_files(section_file: Path, tmp_path: Path) -> None:
    anndata.read_h5ad(section_file)[:9].copy().write_h5ad(tmp_path / "few.h5ad")
    with pytest.raises(EfnstError, match="Expected at least 10 spots to learn from, found 9"):
        learn(tmp_path / "few.h5ad", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.slow
def test_memory_on_30000_spots(
    simulated_section: Callable[..., anndata.AnnData], run_measured: Callable[..., float], tmp_path: Path
) -> None:
    """Clustering takes minutes rather than memory: it gets the first 10,000 spots."""
    section = simulated_section(30_000, 2000, 7)
    assert section.shape == (30_000, 2000)
    section.write_h5ad(tmp_path / "section.h5ad")
    files = ["--sample", "S1", "--section", tmp_path / "section.h5ad", "--outdir", tmp_path]
    learning = run_measured("learn_embedding.py", *files, "--n_seeds", 1, "--epochs", 3, "--device", "cpu")

    section[:10_000].write_h5ad(tmp_path / "section.h5ad")
    found = tmp_path / "S1"
    arrays = read_arrays(found / "embedding.npz", EMBEDDING_NPZ, section.obs_names.to_numpy())
    fewer = {name: values[:10_000] for name, values in arrays.items()}
    write_arrays(found / "embedding.npz", EMBEDDING_NPZ, section.obs_names[:10_000].to_numpy(), **fewer)
    results = ["--embedding", found / "embedding.npz", "--training", found / "training.json"]
    assigning = run_measured("assign_domains.py", *files, *results, "--n_domains", 7)
    assert len((tmp_path / "domains.csv").read_text().splitlines()) == 10_001

    print(f"learn_embedding.py {learning:.2f} GB, assign_domains.py {assigning:.2f} GB")
    assert max(learning, assigning) < LARGEST_GB
