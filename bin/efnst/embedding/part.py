"""Sections as a common space sees them, alone or several side by side: the shared genes, graphs, image features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from anndata import AnnData
from scipy import sparse

from efnst.embedding.diffusion import count_precision
from efnst.embedding.image_features import ALL, ImageFeatures
from efnst.embedding.image_fusion import shows_texture
from efnst.embedding.options import EmbeddingOptions
from efnst.embedding.sketch import side_by_side, some_of
from efnst.errors import EfnstError
from efnst.genes.shared import SharedGenes
from efnst.geometry.neighbours import NEAREST, neighbour_graph
from efnst.names import SECTION, SPATIAL


@dataclass(frozen=True)
class Part:
    """A section, or a sample of several whose graphs are block-diagonal; `pitch_um` is that of the first.

    `samples` int [n_units] are numbers of sections, `batches` text [n_units] what they are corrected as. `positions`
    are in pitches. `counts` float32 CSR [n_units, n_genes + 1] are those of the shared genes, all other counts in the
    last column; a gene that is not measured has none. `given` float32 [n_units, ·] are features that take the place of
    expression, where there are any. `image` are image features, `seen` bool [n_units] the units that have them; None
    where none has. `texture` says whether the images show enough to be fused.
    """

    samples: np.ndarray
    batches: np.ndarray
    positions: np.ndarray
    pitch_um: float
    counts: sparse.csr_array
    given: np.ndarray | None
    precision: np.ndarray
    nearest_graph: sparse.csr_array
    graph: sparse.csr_array
    image: ImageFeatures | None
    seen: np.ndarray
    patch_um: float
    texture: bool

    @property
    def totals(self) -> np.ndarray:
        """All counts of each unit, [n_units]."""
        return np.asarray(self.counts.sum(1)).ravel()


def part_of(
    section: AnnData,
    features: ImageFeatures | None,
    batch: str,
    genes: SharedGenes,
    options: EmbeddingOptions,
    n_units: int | None = None,
) -> Part:
    """A section, or whole tiles of it with about `n_units` units where it has more."""
    facts = section.uns[SECTION]
    positions = np.asarray(section.obsm[SPATIAL], float) / float(facts["pitch_px"])
    rows = some_of(positions, section.n_obs if n_units is None else n_units)
    positions = positions[rows]
    counts = sparse.csr_array(section.X)
    counts = counts if len(rows) == section.n_obs else counts[rows]
    counts = _shared_counts(counts, genes, genes.columns(section))
    precision = count_precision(counts.sum(1), options.weigh_by_counts)
    patch_um = 0.0 if features is None else max(features.patch_um)
    return Part(
        samples=np.zeros(len(rows), int),
        batches=np.full(len(rows), batch),
        positions=positions,
        pitch_um=float(facts["pitch_px"]) * float(facts["um_per_px"]),
        counts=counts,
        given=_given_features(section, options.expression_rep)[rows] if options.expression_rep else None,
        precision=precision,
        nearest_graph=neighbour_graph(positions, NEAREST),
        graph=neighbour_graph(positions, options.graph_neighbours),
        image=None if features is None else features.of(rows),
        seen=np.full(len(rows), features is not None),
        patch_um=patch_um,
        texture=features is None or shows_texture(section, min(features.patch_um)),
    )


def pooled(parts: Sequence[Part]) -> Part:
    """Several parts as one, with block-diagonal graphs and places that keep them apart."""
    if len(parts) == 1:
        return parts[0]
    return Part(
        samples=np.repeat(np.arange(len(parts)), [len(part.seen) for part in parts]),
        batches=np.concatenate([part.batches for part in parts]),
        positions=side_by_side([part.positions for part in parts]),
        pitch_um=parts[0].pitch_um,
        counts=sparse.csr_array(sparse.vstack([part.counts for part in parts])),
        given=None,
        precision=np.concatenate([part.precision for part in parts]),
        nearest_graph=sparse.csr_array(sparse.block_diag([part.nearest_graph for part in parts])),
        graph=sparse.csr_array(sparse.block_diag([part.graph for part in parts])),
        image=_images(parts),
        seen=np.concatenate([part.seen for part in parts]),
        patch_um=max(part.patch_um for part in parts),
        texture=all(part.texture for part in parts),
    )


def _images(parts: Sequence[Part]) -> ImageFeatures | None:
    """The image features of several parts, 0 for those without an image; None where none has any."""
    widths = {part.image.n_features for part in parts if part.image is not None}
    if len(widths) > 1:
        raise EfnstError(f"Expected image features of one encoder, found {sorted(widths)} of them.")
    if not widths:
        return None
    blank = [np.zeros((len(part.seen), *widths), np.float32) for part in parts]
    pairs = zip(parts, blank, strict=True)
    return ImageFeatures(np.concatenate([none if part.image is None else part.image.at(ALL) for part, none in pairs]))


def _given_features(section: AnnData, name: str) -> np.ndarray:
    """Features that were computed before and kept beside the counts, float32 [n_units, ·]."""
    if name not in section.obsm:
        raise EfnstError(
            f"Expected the features {name} in obsm of section.h5ad, found {', '.join(section.obsm)}: read the section "
            "with the same expression_rep."
        )
    return np.asarray(section.obsm[name], np.float32)


def _shared_counts(counts: sparse.csr_array, genes: SharedGenes, columns: np.ndarray) -> sparse.csr_array:
    """Counts of the shared genes, with all others in a last column.

    What the genes that are not measured would have added to the totals is put into the last column, so that the others
    are normalised as where all are measured.
    """
    totals = np.asarray(counts.sum(1), np.float64).ravel()
    missing = columns < 0
    found = sparse.csr_array(counts[:, np.where(missing, 0, columns)], dtype=np.float32)
    if missing.any():
        found = sparse.csr_array(found @ sparse.diags_array((~missing).astype(np.float32)))
        found.eliminate_zeros()
    expected = totals / max(1 - float(genes.profile[missing].sum()), 1e-3)
    rest = expected - np.asarray(found.sum(1)).ravel()
    return sparse.csr_array(sparse.hstack([found, rest[:, None].astype(np.float32)]))
