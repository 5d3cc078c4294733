"""Sections as a common space sees them, alone or several side by side: the shared genes, graphs, image features."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from anndata import AnnData
from scipy import sparse

from efnst.embedding.diffusion import count_precision
from efnst.embedding.image_features import ImageFeatures
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
    last column; a gene that is not measured has none. `image` float32 [n_units, n_features] are image features, `seen`
    bool [n_units] the units that have them; None where none has. `texture` says whether the images show enough to be
    fused.
    """

    samples: np.ndarray
    batches: np.ndarray
    positions: np.ndarray
    pitch_um: float
    counts: sparse.csr_array
    precision: np.ndarray
    nearest_graph: sparse.csr_array
    graph: sparse.csr_array
    image: np.ndarray | None
    seen: np.ndarray
    patch_um: float
    texture: bool

    @property
    def totals(self) -> np.ndarray:
        """All counts of each unit, [n_units]."""
        return np.asarray(self.counts.sum(1)).ravel()

    def of_batches(self) -> Iterator[tuple[str, np.ndarray]]:
        """Each batch and its rows, bool [n_units]."""
        return ((str(name), self.batches == name) for name in np.unique(self.batches))


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
    counts = _shared_counts(sparse.csr_array(section.X)[rows], genes, genes.columns(section))
    precision = count_precision(counts.sum(1), options.weigh_by_counts)
    patch_um = 0.0 if features is None else max(features.patch_um)
    return Part(
        samples=np.zeros(len(rows), int),
        batches=np.full(len(rows), batch),
        positions=positions,
        pitch_um=float(facts["pitch_px"]) * float(facts["um_per_px"]),
        counts=counts,
        precision=precision,
        nearest_graph=neighbour_graph(positions, NEAREST),
        graph=neighbour_graph(positions, options.graph_neighbours),
        image=None if features is None else features.at(rows),
        seen=np.full(len(rows), features is not None),
        patch_um=patch_um,
        texture=features is None or shows_texture(section, min(features.patch_um)),
    )


def pooled(parts: Sequence[Part]) -> Part:
    """Several parts as one, with block-diagonal graphs and places that keep them apart."""
    return Part(
        samples=np.repeat(np.arange(len(parts)), [len(part.seen) for part in parts]),
        batches=np.concatenate([part.batches for part in parts]),
        positions=side_by_side([part.positions for part in parts]),
        pitch_um=parts[0].pitch_um,
        counts=sparse.csr_array(sparse.vstack([part.counts for part in parts])),
        precision=np.concatenate([part.precision for part in parts]),
        nearest_graph=sparse.csr_array(sparse.block_diag([part.nearest_graph for part in parts])),
        graph=sparse.csr_array(sparse.block_diag([part.graph for part in parts])),
        image=_images(parts),
        seen=np.concatenate([part.seen for part in parts]),
        patch_um=max(part.patch_um for part in parts),
        texture=all(part.texture for part in parts),
    )


def _images(parts: Sequence[Part]) -> np.ndarray | None:
    """The image features of several parts, 0 for those without an image; None where none has any."""
    widths = {part.image.shape[1] for part in parts if part.image is not None}
    if len(widths) > 1:
        raise EfnstError(f"Expected image features of one encoder, found {sorted(widths)} of them.")
    if not widths:
        return None
    blank = [np.zeros((len(part.seen), *widths), np.float32) for part in parts]
    return np.concatenate([none if part.image is None else part.image for part, none in zip(parts, blank, strict=True)])


def _shared_counts(counts: sparse.csr_array, genes: SharedGenes, columns: np.ndarray) -> sparse.csr_array:
    """Counts of the shared genes, with all others in a last column.

    What the genes that are not measured would have added to the totals is put into the last column, so that the others
    are normalised as where all are measured.
    """
    totals = np.asarray(counts.sum(1), np.float64).ravel()
    missing = columns < 0
    found = sparse.csr_array(counts[:, np.where(missing, 0, columns)], dtype=np.float32)
    found = sparse.csr_array(found @ sparse.diags_array((~missing).astype(np.float32)))
    found.eliminate_zeros()
    expected = totals / max(1 - float(genes.profile[missing].sum()), 1e-3)
    rest = expected - np.asarray(found.sum(1)).ravel()
    return sparse.csr_array(sparse.hstack([found, rest[:, None].astype(np.float32)]))
