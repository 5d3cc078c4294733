"""A space that several sections share."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from anndata import AnnData
from scipy import sparse

from efnst.embedding.cohort import Learned
from efnst.embedding.image_features import ImageFeatures
from efnst.embedding.options import NO_BATCH, EmbeddingOptions, TrainingOptions
from efnst.embedding.part import Part, part_of, pooled
from efnst.embedding.reference import require_same_image
from efnst.embedding.saved_space import load_space, save_space
from efnst.embedding.space import fit_components, fit_image, fit_space
from efnst.errors import EfnstError
from efnst.genes.shared import SharedGenes, Survey
from efnst.records.base import write_record
from efnst.records.encoder import EncoderRecord
from efnst.records.reference import ReferenceRecord

OPTIONS, TRAINING = EmbeddingOptions(expression_pcs=8, n_genes=60), TrainingOptions(epochs=3)


@pytest.fixture(scope="module")
def sections(simulated_section: Callable[..., AnnData]) -> list[AnnData]:
    return [simulated_section(200, 120), simulated_section(150, 120)]


@pytest.fixture(scope="module")
def genes(sections: list[AnnData]) -> SharedGenes:
    survey = Survey()
    for section in sections:
        survey.add(section, 10)
    return survey.chosen(60, 1.0)


def features_of(section: AnnData) -> ImageFeatures:
    """Features that say the region, and noise."""
    region = section.obs["label"].cat.codes.to_numpy()
    noise = np.random.default_rng(0).standard_normal((section.n_obs, 12))
    return ImageFeatures((noise + 3 * (region[:, None] == np.arange(12))).astype(np.float32))


@pytest.fixture(scope="module")
def parts(sections: list[AnnData], genes: SharedGenes) -> list[Part]:
    """The first section with an image, the second without."""
    images = [features_of(sections[0]), None]
    pairs = zip(sections, images, "ab", strict=True)
    return [part_of(section, image, batch, genes, OPTIONS) for section, image, batch in pairs]


def test_graphs_of_several_sections_join_nothing_of_two(parts: list[Part]) -> None:
    both = pooled(parts)
    assert both.graph[:200, 200:].nnz == 0 and both.graph[:200, :200].nnz == parts[0].graph.nnz
    assert np.linalg.norm(both.positions[:200, None] - both.positions[None, 200:], axis=2).min() >= 10


def test_counts_are_those_of_the_shared_genes_and_the_rest(
    sections: list[AnnData], genes: SharedGenes, parts: list[Part]
) -> None:
    columns = genes.columns(sections[0])
    assert np.array_equal(parts[0].counts[:, :60].toarray(), sections[0].X[:, columns].toarray())
    assert np.allclose(parts[0].totals, np.asarray(sections[0].X.sum(1)).ravel())


def test_components_are_those_of_genes_standardised_within_each_section(parts: list[Part]) -> None:
    both = pooled(parts)
    found = fit_components(both, np.arange(60), 8, 0)[0].plain(both)
    counts, scale = both.counts.toarray().astype(float), np.median(both.totals)
    values = np.log1p(counts / counts.sum(1, keepdims=True) * scale)[:, :60]
    for rows in (slice(0, 200), slice(200, 350)):
        values[rows] = (values[rows] - values[rows].mean(0)) / np.maximum(values[rows].std(0), 0.05)
    u, s, _ = np.linalg.svd(values, full_matrices=False)
    assert np.allclose(np.abs(found), np.abs(u[:, :8] * s[:8]), atol=0.02)


def test_components_of_a_section_by_itself_are_those_of_genes_standardised(parts: list[Part]) -> None:
    """However little a gene varies: there is no other section to hold it against."""
    counts = parts[0].counts.toarray()
    counts[:, 5] = np.arange(200) == parts[0].totals.argmax()
    part = replace(parts[0], counts=sparse.csr_array(counts), batches=np.full(200, NO_BATCH))
    _, found = fit_components(part, np.arange(60), 8, 0)
    values = np.log1p(counts / counts.sum(1, keepdims=True) * np.median(part.totals))[:, :60].astype(float)
    assert values.std(0).min() < 0.05
    u, s, _ = np.linalg.svd((values - values.mean(0)) / values.std(0), full_matrices=False)
    assert np.allclose(np.abs(found), np.abs(u[:, :8] * s[:8]), atol=1e-3)


def test_a_new_batch_is_brought_to_sections_of_one_group(sections: list[AnnData], genes: SharedGenes) -> None:
    """Its genes are caught otherwise; before, it lay apart from the group, which it said to know."""
    other = sections[1].copy()
    caught = np.exp(np.random.default_rng(3).normal(0, 1, other.n_vars))
    other.X = sparse.csr_matrix(np.random.default_rng(4).poisson(sections[1].X.toarray() * caught).astype(np.int32))
    own, new = (part_of(section, None, "new", genes, OPTIONS) for section in (sections[0], other))
    for batch, whole in (("a", False), (NO_BATCH, True)):
        part = pooled([replace(each, batches=np.full(len(each.batches), batch)) for each in (own, own)])
        components, found = fit_components(part, np.arange(60), 8, 0)
        assert (components.moments is not None, components.correction is None) == (whole, whole)
        assert np.allclose(components.of(part), found, atol=1e-4)
        apart = np.abs(components.of(new).mean(0) - found.mean(0)) / found.std(0)
        assert (apart.max() > 1) == whole


def test_a_gene_that_is_not_measured_is_as_in_the_mean_of_the_section(
    sections: list[AnnData], genes: SharedGenes, parts: list[Part]
) -> None:
    """Without one gene of 60 the components stay nearly the same."""
    components, _ = fit_components(pooled(parts), np.arange(60), 8, 0)
    lacking = sections[1][:, sections[1].var["gene_ids"] != genes.ids[5]].copy()
    found = components.plain(part_of(lacking, None, "b", genes, OPTIONS))
    whole = components.plain(parts[1])
    assert np.corrcoef(found[:, 0], whole[:, 0])[0, 1] > 0.98 and not np.allclose(found, whole)


def test_a_section_is_brought_into_the_space_as_its_part_of_the_sample_was(parts: list[Part]) -> None:
    """A section of the sample by itself has the components that it has among the others."""
    both = pooled(parts)
    components, found = fit_components(both, np.arange(60), 8, 0)
    assert np.allclose(components.of(both), found, atol=1e-4)
    assert np.allclose(found[200:], components.of(parts[1]), atol=1e-4)


def test_features_of_another_encoder_are_refused(parts: list[Part]) -> None:
    image = fit_image(pooled(parts), OPTIONS, 0)
    other = replace(parts[0], image=ImageFeatures(parts[0].image.values[:, :5]))
    with pytest.raises(EfnstError, match="Expected 12 image features of each spot, found 5"):
        image.of(other, np.zeros((200, 8)))


def test_a_reference_takes_its_own_encoder_stain_and_patches_alone(
    parts: list[Part], genes: SharedGenes, sections: list[AnnData], tmp_path: Path
) -> None:
    both = pooled(parts)
    space, _, _ = fit_space(TRAINING, both, 60, fit_image(both, OPTIONS, 0), OPTIONS, torch.device("cpu"))
    learned = Learned(genes, fit_components(both, np.arange(60), 8, 0)[0], [space], OPTIONS, TRAINING)
    facts = {"precision": "fp32", "versions": {}, "input_px": 224, "n_features": 12}
    own, other = (EncoderRecord(encoder="own", weights={"sha256": sha, "file": "w"}, **facts) for sha in ("ab", "cd"))
    write_record(tmp_path / "encoder.json", own)
    features = features_of(sections[0])
    facts = {"versions": {}, "samples": ["a"], "correct_by": "none", "gene_prefix": ""}
    facts |= {"median_counts": [1], "structure": [1]}
    about = ReferenceRecord(format=3, files={}, image=True, stain_normalisation="macenko", **facts)
    compare = partial(require_same_image, tmp_path, about, learned)
    compare(features, own, "macenko")
    compare(replace(features, patch_um=(200.0,)), own, "macenko")
    with pytest.raises(EfnstError, match=r"Expected the encoder of the reference, own \(ab\), found own \(cd\)"):
        compare(features, other, "macenko")
    with pytest.raises(EfnstError, match=r"own \(ab\), found own \(ab, coarse patches at 96 px\)"):
        compare(features, own.changed(coarse_px=96), "macenko")
    with pytest.raises(EfnstError, match="Expected image patches of 190 µm, as those of the reference, found 450 µm"):
        compare(replace(features, patch_um=(450.0,)), own, "macenko")
    with pytest.raises(EfnstError, match="Expected --stain_normalisation macenko, as with the reference, found none"):
        compare(features, own, "none")


def test_what_is_kept_does_the_same(parts: list[Part], genes: SharedGenes, tmp_path: Path) -> None:
    both = pooled(parts)
    space, record, _ = fit_space(TRAINING, both, 60, fit_image(both, OPTIONS, 0), OPTIONS, torch.device("cpu"))
    assert record["epochs"] == 3 and space.image is not None
    learned = Learned(genes, fit_components(both, np.arange(60), 8, 0)[0], [space], OPTIONS, TRAINING)
    save_space(tmp_path, learned)
    again = load_space(tmp_path)
    assert (again.genes.ids == genes.ids).all() and again.options == OPTIONS
    for part in parts:
        first, second = learned.arrays(part), again.arrays(part)
        assert first.keys() == second.keys() == {"embedding_0", "expression", "diffused", "image_pcs", "fused"}
        assert all(np.array_equal(first[name], second[name]) for name in first)
