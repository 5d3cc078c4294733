"""What the programs write is what bin/efnst/records/ says of it; records are checked as they are built."""

from pathlib import Path

import anndata
import h5py
import onnxruntime
import pandas as pd

import assign_domains
from efnst.domains.options import DomainOptions
from efnst.image.picture import plain
from efnst.records.arrays import DOMAINS_CSV, ENCODER_ONNX, FINAL_H5AD, PATCHES_H5, SECTION_H5AD, Arrays
from efnst.records.quality import SectionFacts


def arrays_of(data: anndata.AnnData) -> dict:
    """The arrays of a .h5ad by their places, and all of uns, whose content is not of arrays."""
    tables = {f"{name}/{key}": table[key] for name, table in (("obs", data.obs), ("var", data.var)) for key in table}
    return {"X": data.X} | tables | {f"obsm/{key}": data.obsm[key] for key in data.obsm}


def members_of(kind: Arrays) -> Arrays:
    """The same without uns."""
    return Arrays(kind.about, tuple(member for member in kind.members if not member.name.startswith("uns/")))


def test_a_section_has_the_arrays_it_should(section_file: Path) -> None:
    section = anndata.read_h5ad(section_file)
    assert members_of(SECTION_H5AD).problems(arrays_of(section)) == []
    assert {f"uns/{key}" for key in section.uns} == {name for name in SECTION_H5AD.names if name.startswith("uns/")}
    facts = plain(section.uns["section"])
    assert SectionFacts(**facts).plain() == facts


def test_the_final_section_has_the_arrays_it_should(section_file: Path, embedding_file: Path, tmp_path: Path) -> None:
    training = embedding_file.with_name("training.json")
    files = {"section": section_file, "embedding": embedding_file, "training": training, "outdir": tmp_path}
    assign_domains.main(sample="S1", options=DomainOptions(n_domains=4), **files)
    final = anndata.read_h5ad(tmp_path / "S1.h5ad")
    both = Arrays("", FINAL_H5AD.members + SECTION_H5AD.members)
    assert members_of(both).problems(arrays_of(final)) == []
    assert all(any(member.is_called(f"uns/{key}") for member in both.members) for key in final.uns)
    assert DOMAINS_CSV.problems(dict(pd.read_csv(tmp_path / "domains.csv").items())) == []


def test_patches_and_encoder_have_the_arrays_they_should(patches_file: Path, lite0_file: Path) -> None:
    with h5py.File(patches_file) as file:
        assert PATCHES_H5.problems(file) == []
        (patches,) = (file[name] for name in file if name.startswith("patches_"))
        assert set(patches.attrs) == {"patch_um", "window_px", "um_per_px"}
    session = onnxruntime.InferenceSession(str(lite0_file), providers=["CPUExecutionProvider"])
    assert [put.name for put in (*session.get_inputs(), *session.get_outputs())] == ENCODER_ONNX.names
