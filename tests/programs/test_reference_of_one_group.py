"""learn_embedding.py, fit_domains.py and apply_reference.py: sections of one group, and what comes later of another."""

import json
from collections.abc import Callable
from pathlib import Path

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

QUICK = {"n_seeds": 2, "epochs": 30, "device": "cpu", "n_genes": 80}


@pytest.fixture(scope="module")
def files(simulated_section: Callable[..., AnnData], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two sections of the same tissue, and one of it whose genes are caught otherwise."""
    folder, tissue = tmp_path_factory.mktemp("sections"), simulated_section(900, 120)
    caught = np.exp(np.random.default_rng(0).normal(0, 0.7, tissue.n_vars))
    sections = {sample: tissue[start::3].copy() for start, sample in enumerate(("a", "b", "new"))}
    counts = np.random.default_rng(1).poisson(sections["new"].X.toarray() * caught)
    sections["new"].X = sparse.csr_matrix(counts.astype(np.int32))
    for sample, section in sections.items():
        section.obs["total_counts"] = np.asarray(section.X.sum(1)).ravel()
        section.write_h5ad(folder / f"{sample}.h5ad")
    return {sample: folder / f"{sample}.h5ad" for sample in sections}


def reference(files: dict[str, Path], samples: str, folder: Path, **options: object) -> Path:
    """The reference of these samples, all of the group P."""
    known = [files[sample] for sample in samples]
    shared = {"group": ["P"] * len(samples), "space": folder / "space"}
    learn_embedding.main([*samples], known, outdir=folder, **shared, **chosen(learn_embedding.main, **QUICK, **options))
    embeddings = [folder / sample / "embedding.npz" for sample in samples]
    options = chosen(fit_domains.main, n_domains=3, **options)
    fit_domains.main([*samples], known, embeddings, outdir=folder, **options, **shared)
    return folder / "reference"


def applied(section: Path, group: str, made: Path, folder: Path) -> tuple[bool, float]:
    """Whether the reference says that it knows the batch of a section, and the share of it that is called novel."""
    folder.mkdir()
    apply_reference.main("S", section, made, group, outdir=folder)
    arrays = folder / "embedding.npz", folder / "training.json"
    shared = {"reference": made, "reference_fit": folder / "reference_fit.json"}
    assign_domains.main("S", section, *arrays, **shared, outdir=folder, **chosen(assign_domains.main))
    record = json.loads((folder / "domains.json").read_text())
    assert not json.loads((folder / "training.json").read_text())["reference"]["corrected"]
    return record["fit"]["known_batch"], float((pd.read_csv(folder / "domains.csv")["domain"] == 0).mean())


@pytest.mark.parametrize("samples", ["ab", "a"])
def test_another_group_is_brought_to_the_one_that_there_was(
    samples: str, files: dict[str, Path], tmp_path: Path
) -> None:
    made = reference(files, samples, tmp_path)
    known, novel = applied(files["new"], "Q", made, tmp_path / "new")
    assert not known and novel < 0.3
    known, novel = applied(files["b"], "P", made, tmp_path / "known")
    assert known and novel < 0.1


@pytest.mark.parametrize(
    ("sample", "correct_by", "is_kept", "is_known"),
    [
        ("a", "group", True, True),
        ("a", "group", False, False),
        ("new", "group", True, False),
        ("a", "sample", True, True),
    ],
)
def test_a_section_without_a_group_that_is_called_like_one_of_the_reference(
    sample: str,
    correct_by: str,
    is_kept: bool,
    is_known: bool,
    files: dict[str, Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is corrected as that one, with a warning, whatever its group; references without groups are read, too."""
    made = reference(files, "ab", tmp_path, correct_by=correct_by)
    about = json.loads((made / "reference.json").read_text())
    assert about["samples"] == ["a", "b"] and about["groups"] == ["P", "P"]
    if not is_kept:
        del about["groups"]
        (made / "reference.json").write_text(json.dumps(about))
    apply_reference.main(sample, files[sample], made, outdir=made.parent)
    assert json.loads((made.parent / "reference_fit.json").read_text())["known_batch"] is is_known
    said = f"{sample}: corrected as {sample} of the reference; rename it, or give its group, if it is another"
    assert (said in caplog.text) is is_known


def test_nothing_is_taken_out_where_nothing_is_to_be(files: dict[str, Path], tmp_path: Path) -> None:
    known, novel = applied(files["new"], "Q", reference(files, "ab", tmp_path, correct_by="none"), tmp_path / "new")
    assert known and novel > 0.9


def test_a_section_by_itself_has_no_group(files: dict[str, Path], tmp_path: Path) -> None:
    for group in ("P", ""):
        options = chosen(learn_embedding.main, **QUICK)
        learn_embedding.main(["a"], [files["a"]], group=[group], outdir=tmp_path / f"of{group}", **options)
    assert (tmp_path / "of" / "a" / "embedding.npz").read_bytes() == (
        tmp_path / "ofP" / "a" / "embedding.npz"
    ).read_bytes()
