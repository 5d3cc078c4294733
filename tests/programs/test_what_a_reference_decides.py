"""apply_reference.py and assign_domains.py: what is the reference's and not that of the run that brings a section."""

import json
from pathlib import Path

import anndata
import numpy as np
import pytest
from tests.support.options import chosen
from tests.support.records import example
from tests.support.shared import QUICK, apply

import apply_reference
import fit_domains
import learn_embedding
from efnst.program.arrays import read_arrays, write_arrays
from efnst.records.arrays import EMBEDDING_NPZ, FEATURES_NPZ
from efnst.records.base import write_record
from efnst.records.encoder import EncoderRecord


def test_options_of_domains_are_those_of_the_reference(
    sections: dict[str, Path], reference: Path, tmp_path: Path
) -> None:
    """Also in the baselines and the evidence; and what had no part is not in the provenance."""
    other = {"clustering": "leiden", "spatial_prior": 2.0, "diffusion": 3.0, "weigh_by_counts": False}
    other |= {"untrained_views": False, "max_domains": 4}
    _, usual = apply("new", sections["b"], reference, tmp_path / "usual")
    _, found = apply("new", sections["b"], reference, tmp_path / "other", other)
    assert found == usual and found["clustering"] == "mixture" and found["spatial_prior"] == 0.3
    tables = [(tmp_path / way / "domains" / "domains.csv").read_text() for way in ("usual", "other")]
    assert tables[0] == tables[1]
    ran = json.loads((tmp_path / "other" / "domains" / "provenance.json").read_text())["parameters"]
    assert not set(other) & set(ran) and ran["refinement_rounds"] == 2


@pytest.fixture(scope="module")
def imaged(sections: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with image features of both sections that tell the regions, an encoder, and their `reference`."""
    folder, rng = tmp_path_factory.mktemp("imaged"), np.random.default_rng(0)
    for sample in "ab":
        section = anndata.read_h5ad(sections[sample])
        shown = np.eye(section.obs["label"].nunique())[section.obs["label"].cat.codes]
        values = (shown + rng.normal(0, 0.2, shown.shape)).astype(np.float32)
        arrays = {"features": values, "patch_um": np.array([190.0])}
        write_arrays(folder / f"{sample}.npz", FEATURES_NPZ, section.obs_names.to_numpy(), **arrays)
    write_record(folder / "encoder.json", example(EncoderRecord))
    paths = {"section": [sections[sample] for sample in "ab"], "outdir": folder, "space": folder / "space"}
    images = {"features": [str(folder / f"{sample}.npz") for sample in "ab"]}
    learn_embedding.main(["a", "b"], **paths, **images, group=["", ""], **chosen(learn_embedding.main, **QUICK))
    paths |= {"embedding": [folder / sample / "embedding.npz" for sample in "ab"]}
    options = chosen(fit_domains.main, n_domains=3)
    fit_domains.main(["a", "b"], **paths, encoder_json=folder / "encoder.json", **options)
    return folder


@pytest.mark.parametrize(("scale", "px"), [(1.0, 380), (0.04, 15)])
def test_an_image_that_is_too_coarse_for_the_reference_has_no_part(
    scale: float, px: int, sections: dict[str, Path], imaged: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a cohort, which fuses no image where one shows no texture; the section is as one without an image."""
    section = anndata.read_h5ad(sections["b"])
    section.uns["section"]["image"]["scale"] = scale
    section.write_h5ad(tmp_path / "b.h5ad")
    found = {}
    for way, features in {"with": imaged / "b.npz", "without": None}.items():
        (tmp_path / way).mkdir()
        files = {"features": features, "encoder_json": imaged / "encoder.json", "outdir": tmp_path / way}
        apply_reference.main(sample="new", section=tmp_path / "b.h5ad", reference=imaged / "reference", **files)
        found[way] = read_arrays(tmp_path / way / "embedding.npz", EMBEDDING_NPZ, section.obs_names.to_numpy())
    trained = json.loads((tmp_path / "with" / "training.json").read_text())
    is_coarse = px < 32
    assert trained["n_image_components_fused"] > 0 and trained["image"] is not is_coarse
    assert np.array_equal(found["with"]["embedding_0"], found["without"]["embedding_0"]) is is_coarse
    said = "new: Expected image patches of at least 32 px"
    assert (said in caplog.text and f"found {px} px" in caplog.text) is is_coarse and (
        tmp_path / "with" / "warnings.txt"
    ).exists() is is_coarse
