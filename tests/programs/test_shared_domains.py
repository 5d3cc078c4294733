"""learn_embedding.py, fit_domains.py and apply_reference.py: domains that sections share, and find again."""

import json
from pathlib import Path

import anndata
import numpy as np
import pytest
from tests.support.options import chosen
from tests.support.shared import QUICK, SIZES, apply, assign, embedding, learn

import fit_domains
import learn_embedding
from efnst.embedding.saved_space import load_space
from efnst.errors import EfnstError
from efnst.provenance.origin import find_origin


def test_each_section_has_its_files(sections: dict[str, Path], learned: Path) -> None:
    for sample in ("a", "b"):
        arrays = embedding(sections, learned, sample)
        assert arrays.keys() == {"embedding_0", "embedding_1", "diffused", "expression"}
        assert all(len(values) == SIZES[sample] and np.isfinite(values).all() for values in arrays.values())
        record = json.loads((learned / sample / "training.json").read_text())
        assert record["sample"] == sample and len(record["runs"]) == 2 and not record["image"]


def test_a_section_that_cannot_be_used_is_left_out(learned: Path) -> None:
    record = json.loads((learned / "few" / "failure.json").read_text())
    assert record["reason"] == "few: Expected at least 10 spots to learn from, found 8."
    assert not (learned / "few" / "embedding.npz").exists()


def test_the_order_of_the_sections_does_not_matter(sections: dict[str, Path], learned: Path, tmp_path: Path) -> None:
    learn(dict(reversed(sections.items())), tmp_path)
    first, second = (embedding(sections, outdir, "b") for outdir in (learned, tmp_path))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_section_by_itself_is_a_cohort_of_one(sections: dict[str, Path], tmp_path: Path) -> None:
    one, options = {"a": sections["a"]}, chosen(learn_embedding.main, **QUICK)
    learn(one, tmp_path / "cohort")
    learn_embedding.main(["a"], [sections["a"]], outdir=tmp_path / "alone", **options)
    first, second = ((tmp_path / name / "a" / "embedding.npz").read_bytes() for name in ("cohort", "alone"))
    assert first == second and not (tmp_path / "alone" / "space").exists()
    arrays, again = embedding(one, tmp_path / "cohort", "a"), load_space(tmp_path / "cohort" / "space")
    applied = again.arrays(again.part(anndata.read_h5ad(sections["a"]), None, "a"))
    assert all(np.allclose(values, applied[name], rtol=0.01, atol=0.01) for name, values in arrays.items())


def test_features_computed_before_are_for_a_section_by_itself(sections: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match="found both scope cohort and expression_rep"):
        learn({"a": sections["a"]}, tmp_path, expression_rep="X_other")


def test_domains_mean_the_same_in_both_sections(
    sections: dict[str, Path], learned: Path, reference: Path, tmp_path: Path
) -> None:
    regions = {}
    for sample in ("a", "b"):
        found, record = assign(sample, sections[sample], learned / sample, tmp_path, reference=reference)
        assert record["n_domains_asked"] == 3 and record["common"]
        large = found.obs[found.obs["label"].isin(found.obs["label"].value_counts().index[:2])]
        regions[sample] = large.groupby("label", observed=True)["efnst"].agg(lambda column: column.mode()[0])
    assert regions["a"].to_dict() == regions["b"].to_dict() and regions["a"].nunique() == 2


def test_a_reference_gives_a_section_of_its_own_the_same_domains(
    sections: dict[str, Path], learned: Path, reference: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own, _ = assign("b", sections["b"], learned / "b", tmp_path, reference=reference)
    again, record = apply("b", sections["b"], reference, tmp_path / "again")
    assert "b: corrected as b of the reference; rename it, or give its group, if it is another" in caplog.text
    known = (again.obs["efnst"] != "0").to_numpy()
    assert known.mean() > 0.95 and (own.obs["efnst"].astype(str) == again.obs["efnst"].astype(str))[known].all()
    assert record["fit"]["known_batch"] and record["fit"]["missing_genes"] == 0
    assert set(own.uns["efnst_colors"]) <= {"#0072b2", "#e69f00", "#009e73"}


def test_a_section_says_what_it_was_learned_with(
    sections: dict[str, Path], learned: Path, reference: Path, tmp_path: Path
) -> None:
    """The cohort and its parameters or, with a reference, that one's files: its training is none of the section's."""
    assign("a", sections["a"], learned / "a", tmp_path, reference=reference)
    of_cohort = json.loads((tmp_path / "provenance.json").read_text())
    names = ("scope", "correct_by", "shared_genes", "learn_labels", "n_domains", "epochs")
    assert [of_cohort["parameters"][name] for name in names] == ["cohort", "group", 0.8, False, 3, 30]
    assert of_cohort["cohort"] == {"samples": ["a", "b"], "corrected": True} and "reference" not in of_cohort
    found, _ = apply("new", sections["a"], reference, tmp_path)
    of_reference = json.loads((tmp_path / "domains" / "provenance.json").read_text())
    about = json.loads((reference / "reference.json").read_text())
    used = of_reference["reference"]
    assert {name: used[name] for name in ("samples", "correct_by", "files")} == {
        name: about[name] for name in ("samples", "correct_by", "files")
    }
    assert used["corrected"] and used["parameters"]["epochs"] == 30 and "cohort" not in of_reference
    theirs = {"epochs", "save_model", "n_domains", "scope", "diffusion", "weigh_by_counts"}
    assert not (theirs | {"max_domains", "untrained_views"}) & set(of_reference["parameters"])
    assert of_reference["parameters"]["seed"] == 0
    assert find_origin(tmp_path / "domains" / "new.h5ad").section["reference"] == used
    assert list(found.uns["efnst"]["reference"]["samples"]) == ["a", "b"]


def test_new_tissue_is_no_domain(sections: dict[str, Path], reference: Path, tmp_path: Path) -> None:
    """A fifth of a section in which half of the genes trade places with others."""
    section = anndata.read_h5ad(sections["a"])
    new = section.obsm["spatial"][:, 0] <= np.quantile(section.obsm["spatial"][:, 0], 0.2)
    counts = section.X.toarray()
    counts[new] = counts[new][:, np.random.default_rng(0).permutation(section.n_vars)]
    section.X = type(section.X)(counts)
    section.write_h5ad(tmp_path / "new.h5ad")
    found, record = apply("new", tmp_path / "new.h5ad", reference, tmp_path)
    novel = (found.obs["efnst"] == "0").to_numpy()
    assert novel[new].mean() > 0.8 and novel[~new].mean() < 0.1
    assert record["fit"]["verdict"] == "warn" and "unlike all tissue of the reference" in record["fit"]["reasons"][0]
    assert not record["fit"]["known_batch"]


def test_the_species_of_a_reference_is_that_of_most_sections(
    sections: dict[str, Path], learned: Path, tmp_path: Path
) -> None:
    """Whatever names the genes of the first section by name have."""
    files = {"section": [sections["a"], tmp_path / "b.h5ad"], "space": learned / "space", "outdir": tmp_path}
    files["embedding"] = [learned / sample / "embedding.npz" for sample in "ab"]
    section = anndata.read_h5ad(sections["b"])
    section.var["gene_ids"] = [f"ENSG{number:011d}" for number in range(section.n_vars)]
    section.write_h5ad(tmp_path / "b.h5ad")
    (tmp_path / "stain.json").write_text("{}")
    options = chosen(fit_domains.main, n_domains=3, stain_normalisation="macenko")
    fit_domains.main(sample=["a", "b"], **files, **options, stain_reference=tmp_path / "stain.json")
    about = json.loads((tmp_path / "reference" / "reference.json").read_text())
    assert (about["gene_prefix"], about["stain_normalisation"]) == ("ENSG", "macenko")
    assert "stain_reference.json" in about["files"]
