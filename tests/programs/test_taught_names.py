"""fit_domains.py: labels of some spots that teach names, and those names in other sections."""

import json
from pathlib import Path

import anndata
import numpy as np
import pytest
from tests.support.options import chosen
from tests.support.shared import apply, assign

import fit_domains


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
    sections: dict[str, Path],
    learned: Path,
    outdir: Path,
    labels: dict[str, list[str]],
    respelled: str = "",
    **options: object,
) -> dict[str, np.ndarray]:
    """Learn names where of each sample only spots with these labels are labelled; returns the regions of all spots.

    The labels of the sample `respelled` are in capitals; `options` as of fit_domains.py.
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
    given = chosen(fit_domains.main, n_domains=3, learn_labels=True, **options)
    fit_domains.main(sample=["a", "b"], **files, **given)
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


def test_names_are_read_from_the_values_that_taught_them(
    sections: dict[str, Path], learned: Path, tmp_path: Path
) -> None:
    """Whatever the run that brings a section to the reference asks for."""
    names = sorted(anndata.read_h5ad(sections["a"]).obs["label"].unique())
    teach(sections, learned, tmp_path, {"a": names}, weigh_by_counts=False)
    found = [
        apply("new", sections["b"], tmp_path / "reference", tmp_path / f"by_{weigh}", {"weigh_by_counts": weigh})[0]
        for weigh in (True, False)
    ]
    first, second = (each.obs["efnst_name_probability"].to_numpy() for each in found)
    np.testing.assert_array_equal(first, second)
    assert json.loads((tmp_path / "reference" / "naming.json").read_text())["weigh_by_counts"] is False
