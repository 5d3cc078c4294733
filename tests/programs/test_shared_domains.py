"""learn_embedding.py, fit_domains.py and apply_reference.py: domains that sections share, and find again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pytest
from anndata import AnnData
from safetensors.numpy import load_file, save_file
from sklearn.metrics import adjusted_rand_score
from tests.support.options import chosen

import apply_reference
import assign_domains
import check_inputs
import fit_domains
import learn_embedding
from efnst.embedding.reference_folder import digests
from efnst.embedding.saved_space import load_space
from efnst.errors import EfnstError
from efnst.program.arrays import read_arrays
from efnst.program.tensors import read_tensors
from efnst.provenance.explain import find_origin
from efnst.records.arrays import EMBEDDING_NPZ

SIZES = {"a": 300, "b": 300, "few": 8}
QUICK = {"n_seeds": 2, "epochs": 30, "device": "cpu", "n_genes": 80}


@pytest.fixture(scope="module")
def sections(simulated_section: Callable[..., AnnData], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two sections of the same tissue, which share its spots, and one of too few spots."""
    folder, paths, tissue = tmp_path_factory.mktemp("sections"), {}, simulated_section(600, 120)
    tissue.obs["total_counts"] = np.asarray(tissue.X.sum(1)).ravel()
    for sample, rows in {"a": slice(0, None, 2), "b": slice(1, None, 2), "few": slice(0, 8)}.items():
        paths[sample] = folder / f"{sample}.h5ad"
        tissue[rows].copy().write_h5ad(paths[sample])
    return paths


def learn(sections: dict[str, Path], outdir: Path, **options: object) -> None:
    samples = list(sections)
    given = {"sample": samples, "group": [""] * len(samples), "section": list(sections.values())}
    given |= {"space": outdir / "space", "outdir": outdir}
    learn_embedding.main(**given, **chosen(learn_embedding.main, **QUICK | options))


def embedding(sections: dict[str, Path], outdir: Path, sample: str) -> dict[str, np.ndarray]:
    barcodes = anndata.read_h5ad(sections[sample]).obs_names.to_numpy()
    return read_arrays(outdir / sample / "embedding.npz", EMBEDDING_NPZ, barcodes)


@pytest.fixture(scope="module")
def learned(sections: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    outdir = tmp_path_factory.mktemp("learned")
    learn(sections, outdir)
    return outdir


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


@pytest.fixture(scope="module")
def reference(sections: dict[str, Path], learned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference of both sections, three domains."""
    outdir = tmp_path_factory.mktemp("domains")
    used = [sample for sample in sections if sample != "few"]
    given = {"sample": used, "section": [sections[sample] for sample in used], "space": learned / "space"}
    given |= {"embedding": [learned / sample / "embedding.npz" for sample in used], "outdir": outdir}
    fit_domains.main(**given, **chosen(fit_domains.main, n_domains=3))
    return outdir / "reference"


def assign(sample: str, section: Path, learned: Path, outdir: Path, **files: Path) -> tuple[AnnData, dict]:
    """The section with its domains, and domains.json."""
    outdir.mkdir(exist_ok=True)
    files |= {"section": section, "embedding": learned / "embedding.npz", "training": learned / "training.json"}
    assign_domains.main(sample=sample, **files, outdir=outdir, **chosen(assign_domains.main))
    return anndata.read_h5ad(outdir / f"{sample}.h5ad"), json.loads((outdir / "domains.json").read_text())


def apply(sample: str, section: Path, reference: Path, outdir: Path) -> tuple[AnnData, dict]:
    """The same, with the domains of a reference."""
    outdir.mkdir(exist_ok=True)
    apply_reference.main(sample=sample, section=section, reference=reference, outdir=outdir)
    files = {"reference": reference, "reference_fit": outdir / "reference_fit.json"}
    return assign(sample, section, outdir, outdir / "domains", **files)


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
    assert not {"epochs", "save_model", "n_domains", "scope"} & set(of_reference["parameters"])
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


def test_few_missing_genes_are_borne_many_refused(
    sections: dict[str, Path], learned: Path, reference: Path, tmp_path: Path
) -> None:
    own, _ = assign("b", sections["b"], learned / "b", tmp_path, reference=reference)
    section = anndata.read_h5ad(sections["b"])
    section[:, ::5].copy().write_h5ad(tmp_path / "few.h5ad")
    with pytest.raises(EfnstError, match="Expected at least 50% of the 80 genes of the reference, found"):
        apply("b", tmp_path / "few.h5ad", reference, tmp_path / "few")
    section[:, np.arange(section.n_vars) % 10 > 0].copy().write_h5ad(tmp_path / "most.h5ad")
    found, _ = apply("b", tmp_path / "most.h5ad", reference, tmp_path / "most")
    assert adjusted_rand_score(own.obs["efnst"], found.obs["efnst"]) > 0.8


def test_a_section_of_few_spots_is_refused(sections: dict[str, Path], reference: Path, tmp_path: Path) -> None:
    """As in a cohort; of one to three spots there were tracebacks in later steps."""
    with pytest.raises(EfnstError, match="at least 10 spots to find the domains of a reference in, found 8"):
        apply("few", sections["few"], reference, tmp_path / "few")
    ten = tmp_path / "ten.h5ad"
    anndata.read_h5ad(sections["a"])[:10].copy().write_h5ad(ten)
    found, _ = apply("ten", ten, reference, tmp_path / "ten")
    assert found.n_obs == 10


def test_what_is_no_reference_is_refused(sections: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match="Expected --reference to name the folder `reference`"):
        apply("a", sections["a"], tmp_path, tmp_path)


@pytest.mark.parametrize("name", ["space.json", "space.safetensors", "vocabulary.json", "vocabulary.safetensors"])
@pytest.mark.parametrize("how", ["cut", "empty", "other"])
def test_a_damaged_reference_is_refused(
    name: str, how: str, reference: Path, sections: dict[str, Path], tmp_path: Path
) -> None:
    """`other` is a sound file, but of something else."""
    shutil.copytree(reference, tmp_path / "damaged")
    path, kind = tmp_path / "damaged" / name, Path(name).suffix
    other = reference / f"{'vocabulary' if name.startswith('space') else 'space'}{kind}"
    path.write_bytes({"cut": path.read_bytes()[:-9], "empty": b"", "other": other.read_bytes()}[how])
    remade(tmp_path / "damaged")
    with pytest.raises(EfnstError) as raised:
        apply("a", sections["a"], tmp_path / "damaged", tmp_path)
    assert "as they were made" not in str(raised.value)


def remade(folder: Path, **about: object) -> None:
    """As if a reference had been made as it is now, with other facts in reference.json."""
    known = json.loads((folder / "reference.json").read_text())
    (folder / "reference.json").write_text(json.dumps(known | {"files": digests(folder)} | about))


def edited(folder: Path) -> None:
    arrays = load_file(folder / "vocabulary.safetensors")
    save_file(arrays | {"known": arrays["known"] + 1}, folder / "vocabulary.safetensors")


def with_names_of_another(folder: Path) -> None:
    (folder / "naming.json").write_text("{}")


def without_training(folder: Path) -> None:
    (folder / "training.json").unlink()


@pytest.mark.parametrize("change", [edited, with_names_of_another, without_training])
def test_an_edited_or_mixed_reference_is_refused(
    change: Callable[[Path], None], reference: Path, sections: dict[str, Path], tmp_path: Path
) -> None:
    """Each of its files is sound by itself."""
    shutil.copytree(reference, tmp_path / "changed")
    change(tmp_path / "changed")
    with pytest.raises(EfnstError, match="Expected the files of the reference `changed` as they were made"):
        apply("a", sections["a"], tmp_path / "changed", tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (None, ""),
        (without_training, "`../old/reference` as they were made, found that training.json is missing"),
        (lambda folder: remade(folder, format=2), "Expected a reference of format 4, found format 2"),
        (lambda folder: (folder / "reference.json").unlink(), "cohort's run, found `../old/reference`"),
    ],
)
def test_a_reference_is_looked_at_before_any_section(
    change: Callable[[Path], None] | None, said: str, reference: Path, tmp_path: Path
) -> None:
    """It is staged under a name of ours, and told by that of the user."""
    shutil.copytree(reference, tmp_path / "given")
    if change:
        change(tmp_path / "given")
    given = {"input": "sheet.csv", "outdir": "r", "reference": "../old/reference"}
    (tmp_path / "params.json").write_text(json.dumps(given))
    (tmp_path / "sheet.csv").write_text("sample,section\nA1,a\n")
    files = {"input": tmp_path / "sheet.csv", "params": tmp_path / "params.json", "reference": tmp_path / "given"}
    check_inputs.main(**files, outdir=tmp_path, problems=tmp_path / "problems.txt")
    found = (tmp_path / "problems.txt").read_text()
    assert said in found and ("parameter --reference: Expected" in found) == bool(said)


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    save_file({"weights": np.array([1, np.nan])}, tmp_path / "some.safetensors")
    with pytest.raises(EfnstError, match="weights holds what is no finite number"):
        read_tensors(tmp_path / "some.safetensors")


def test_another_species_is_refused(reference: Path, sections: dict[str, Path], tmp_path: Path) -> None:
    section = anndata.read_h5ad(sections["a"])
    section.var["gene_ids"] = [f"ENSMUSG{number:011d}" for number in range(section.n_vars)]
    section.write_h5ad(tmp_path / "mouse.h5ad")
    human = tmp_path / "human"
    shutil.copytree(reference, human)
    remade(human, gene_prefix="ENSG")
    with pytest.raises(EfnstError, match="species \\(ENSG…\\), found those of another \\(ENSMUSG…\\)"):
        apply("a", tmp_path / "mouse.h5ad", human, tmp_path)


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


def test_labels_teach_names(sections: dict[str, Path], learned: Path, tmp_path: Path) -> None:
    """Half of one section is labelled: the other gets the names of its regions."""
    few = anndata.read_h5ad(sections["a"])
    truth = anndata.read_h5ad(sections["b"]).obs["label"].to_numpy()
    few.write_h5ad(tmp_path / "a.h5ad")
    bare = anndata.read_h5ad(sections["b"])
    del bare.obs["label"]
    bare.write_h5ad(tmp_path / "b.h5ad")
    files = {"section": [tmp_path / "a.h5ad", tmp_path / "b.h5ad"], "space": learned / "space", "outdir": tmp_path}
    files["embedding"] = [learned / sample / "embedding.npz" for sample in "ab"]
    fit_domains.main(sample=["a", "b"], **files, **chosen(fit_domains.main, n_domains=3, learn_labels=True))
    found, record = assign("b", tmp_path / "b.h5ad", learned / "b", tmp_path / "of_b", reference=tmp_path / "reference")
    assert (found.obs["efnst_name"].astype(str) == truth).mean() > 0.7
    assert set(record["names"].values()) <= {*np.unique(truth), "unknown"} and len(set(record["names"].values())) > 1
    table = (tmp_path / "of_b" / "domains.csv").read_text().splitlines()
    assert table[0] == "barcode,domain,confidence,leiden,diffused,name,name_probability"


def teach(
    sections: dict[str, Path], learned: Path, outdir: Path, labels: dict[str, list[str]], respelled: str = ""
) -> dict[str, np.ndarray]:
    """Learn names where of each sample only spots with these labels are labelled; returns the regions of all spots.

    The labels of the sample `respelled` are in capitals.
    """
    truth, paths = {}, []
    for sample in "ab":
        section = anndata.read_h5ad(sections[sample])
        given = section.obs["label"].astype(str)
        truth[sample] = given.to_numpy()
        kept = given.where(given.isin(labels.get(sample, [])))
        section.obs["label"] = (kept.str.upper() if sample == respelled else kept).astype("category")
        paths.append(outdir / f"{sample}.h5ad")
        section.write_h5ad(paths[-1])
    files = {"section": paths, "space": learned / "space", "outdir": outdir}
    files["embedding"] = [learned / sample / "embedding.npz" for sample in "ab"]
    fit_domains.main(sample=["a", "b"], **files, **chosen(fit_domains.main, n_domains=3, learn_labels=True))
    return truth


def test_sections_with_one_label_each_teach(sections: dict[str, Path], learned: Path, tmp_path: Path) -> None:
    """One is annotated for one region only, the other for another: each is unknown, and further sections are named."""
    first, second = sorted(anndata.read_h5ad(sections["a"]).obs["label"].value_counts().index[:2])
    truth = teach(sections, learned, tmp_path, {"a": [first], "b": [second]})
    record = json.loads((tmp_path / "reference" / "naming.json").read_text())
    assert record["names"] == [first, second] and record["left_out"] == {}
    found, _ = apply("new", sections["b"], tmp_path / "reference", tmp_path / "new")
    labelled = np.isin(truth["b"], [first, second])
    assert (found.obs["efnst_name"].astype(str) == truth["b"])[labelled].mean() > 0.9
    told = (tmp_path / "warnings.txt").read_text().splitlines()
    assert [line.partition(" is unknown throughout")[0] for line in told if "throughout" in line] == ["a", "b"]


@pytest.mark.parametrize(("labels", "said"), [(0, "labels of at least one section"), (1, "two different labels")])
def test_domains_go_without_names_where_labels_teach_nothing(
    labels: int, said: str, sections: dict[str, Path], learned: Path, tmp_path: Path
) -> None:
    """The only section with labels may have failed: the others keep their domains."""
    names = list(anndata.read_h5ad(sections["a"]).obs["label"].value_counts().index[:labels])
    teach(sections, learned, tmp_path, {"a": names})
    told = (tmp_path / "warnings.txt").read_text()
    assert told.startswith("no names were learned, and the domains go without. Expected") and said in told
    assert not (tmp_path / "reference" / "naming.json").exists()
    _, record = assign("b", tmp_path / "b.h5ad", learned / "b", tmp_path / "of_b", reference=tmp_path / "reference")
    assert "names" not in record and record["common"]


def test_names_spelled_in_two_ways_are_one(sections: dict[str, Path], learned: Path, tmp_path: Path) -> None:
    """The same names and scores as if all were spelled in one way, but for the names themselves."""
    names = sorted(anndata.read_h5ad(sections["a"]).obs["label"].unique())
    found = {}
    for respelled in ("", "b"):
        (tmp_path / f"of{respelled}").mkdir()
        teach(sections, learned, tmp_path / f"of{respelled}", {"a": names, "b": names}, respelled)
        found[respelled] = json.loads((tmp_path / f"of{respelled}" / "reference" / "naming.json").read_text())
    assert found["b"]["names"] == [name.upper() for name in found[""]["names"]] and len(names) > 2
    assert found["b"]["left_out"] == found[""]["left_out"] and found[""]["left_out"]["a"]["macro_f1"] > 0.5
    told = (tmp_path / "ofb" / "warnings.txt").read_text().splitlines()
    assert len(told) == len(names) and "are one name" in told[0] and not (tmp_path / "of" / "warnings.txt").exists()
