"""apply_reference.py and check_inputs.py: what is no reference, or none of these sections."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.metrics import adjusted_rand_score
from tests.support.records import example
from tests.support.shared import apply, assign

import apply_reference
import check_inputs
from efnst.embedding.reference_folder import digests
from efnst.errors import EfnstError
from efnst.program.tensors import read_tensors
from efnst.records.base import write_record
from efnst.records.encoder import FeaturesRecord


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
    ("change", "name"), [(edited, "vocabulary.safetensors was changed"), (without_training, "training.json is missing")]
)
def test_a_reference_that_is_made_anew_during_the_run(
    change: Callable[[Path], None], name: str, reference: Path, sections: dict[str, Path], tmp_path: Path
) -> None:
    """Tasks read the folder where it lies: the space would be that of one reference, the domains those of another."""
    live = tmp_path / "live"
    shutil.copytree(reference, live)
    apply("new", sections["a"], live, tmp_path)
    change(live)
    remade(live)
    fit = tmp_path / "reference_fit.json"
    with pytest.raises(EfnstError, match=f"changed during the run: {name}"):
        assign("new", sections["a"], tmp_path, tmp_path / "changed", reference=live, reference_fit=fit)
    assert list((tmp_path / "changed").iterdir()) == []


def test_a_stain_that_is_made_anew_during_the_run(reference: Path, sections: dict[str, Path], tmp_path: Path) -> None:
    """The patches were brought to that of one reference, the section to the space of another."""
    live = tmp_path / "live"
    shutil.copytree(reference, live)
    (live / "stain_reference.json").write_text("{}")
    remade(live)
    apply_reference.main(sample="new", section=sections["a"], reference=live, outdir=tmp_path)
    files = {"reference": live, "reference_fit": tmp_path / "reference_fit.json", "features_json": tmp_path / "f.json"}
    write_record(tmp_path / "f.json", example(FeaturesRecord, stain_sha256=digests(live)["stain_reference.json"]))
    assign("new", sections["a"], tmp_path, tmp_path / "same", **files)
    write_record(tmp_path / "f.json", example(FeaturesRecord, stain_sha256="0" * 64))
    with pytest.raises(EfnstError, match=r"changed during the run: stain_reference\.json was changed"):
        assign("new", sections["a"], tmp_path, tmp_path / "changed", **files)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (None, ""),
        (without_training, "`../old/reference` as they were made, found that training.json is missing"),
        (lambda folder: remade(folder, format=2), "Expected a reference of format 5, found format 2"),
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


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"correct_by": "none"}, "found none, which space.json contradicts"),
        ({"median_counts": []}, "Expected `reference.json` as this version of efnst writes it, found median_counts"),
        ({"median_counts": [-1.0]}, "found median_counts"),
    ],
)
def test_a_reference_json_that_is_not_of_its_folder(
    about: dict, said: str, reference: Path, sections: dict[str, Path], tmp_path: Path
) -> None:
    """It holds the checksums of the others, and has none itself."""
    shutil.copytree(reference, tmp_path / "changed")
    remade(tmp_path / "changed", **about)
    with pytest.raises(EfnstError, match=said):
        apply("a", sections["a"], tmp_path / "changed", tmp_path)


def test_a_reference_of_sections_half_of_whose_spots_have_no_counts(
    reference: Path, sections: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(reference, tmp_path / "poor")
    remade(tmp_path / "poor", median_counts=[0.0, 0.0])
    _, record = apply("a", sections["a"], tmp_path / "poor", tmp_path)
    assert record["fit"]["depth"] == np.median(anndata.read_h5ad(sections["a"]).obs["total_counts"])


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
