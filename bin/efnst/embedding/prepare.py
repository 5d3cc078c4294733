"""What all trainings of a section share: counts, genes, graphs and image components."""

from dataclasses import dataclass, replace

import numpy as np
from anndata import AnnData
from scipy import sparse

from efnst.embedding.augmentation import augment
from efnst.embedding.diffusion import count_precision
from efnst.embedding.image_features import ImageFeatures
from efnst.embedding.image_fusion import Fusion, shows_texture, structured_components
from efnst.embedding.options import EmbeddingOptions
from efnst.embedding.sketch import sketch
from efnst.embedding.whole import Whole
from efnst.errors import EfnstError
from efnst.genes.components import dense_components
from efnst.genes.expression import log_normalise, principal_components, spatially_variable_genes
from efnst.geometry.neighbours import NEAREST, neighbour_graph
from efnst.geometry.units import MANY_UNITS
from efnst.names import SECTION, SPATIAL

FEWEST_SPOTS = 10


@dataclass(frozen=True)
class Prepared:
    """What all trainings of a section share; the graphs are symmetric 0/1 [n_spots, n_spots].

    `genes` are indices by falling Moran's I; `precision` [n_spots] says how well a spot's expression is known; `image`
    [n_spots, ·] are the image components, `features` [n_spots, n_features], with `save_model`, what they were made of,
    and `structured` those that become inputs and targets, weighted; `given` [n_spots, ·] are the features that take the
    place of components of the expression, where there are any; `fusion` says how `structured` follows from `image`. Of
    a section of many units all this is of a sketch, and `whole` has the rest.
    """

    positions: np.ndarray
    pitch: float
    counts: sparse.csr_array
    normalised: sparse.csr_array
    genes: np.ndarray
    precision: np.ndarray
    nearest_graph: sparse.csr_array
    graph: sparse.csr_array
    image: np.ndarray | None
    structured: np.ndarray | None
    features: np.ndarray | None
    given: np.ndarray | None = None
    fusion: Fusion | None = None
    whole: Whole | None = None

    def expression(self, genes: np.ndarray) -> np.ndarray | sparse.csr_array:
        """The normalised expression of `genes`, or the features given, [n_spots, ·]."""
        return self.normalised[:, genes] if self.given is None else self.given

    def augmented(self, weights: sparse.csr_array, strength: float, genes: np.ndarray) -> np.ndarray | sparse.csr_array:
        """The same after every spot was augmented by its neighbours."""
        if self.given is not None:
            return self.given + strength * (weights @ self.given)
        totals = self.augmented_totals(weights, strength)
        return log_normalise(augment(self.counts[:, genes], weights, strength), totals)

    def augmented_totals(self, weights: sparse.csr_array, strength: float) -> np.ndarray:
        """The counts of all genes of each spot after it was augmented by its neighbours, [n_spots]."""
        totals = np.asarray(self.counts.sum(1), np.float64).ravel()
        return totals + strength * (weights @ totals)

    def components(self, values: np.ndarray | sparse.csr_array, n_components: int, seed: int) -> np.ndarray:
        """Principal components of either, float32 [n_spots, ≤ n_components]."""
        if self.given is not None:
            return dense_components(values, n_components)
        return principal_components(values, n_components, seed)


def prepare(section: AnnData, features: ImageFeatures | None, options: EmbeddingOptions) -> Prepared:
    """What all trainings share; raises an error where there is too little to learn from.

    Of a section of many units it is that of a sketch, with the `whole` beside it.
    """
    if section.n_obs < FEWEST_SPOTS:
        raise EfnstError(f"Expected at least {FEWEST_SPOTS} spots to learn from, found {section.n_obs}.")
    use_image = features is not None and options.image_fusion != "none"
    image = features.components(options.image_pcs) if use_image else None
    if section.n_obs <= MANY_UNITS:
        return _prepared(section, features, slice(None), image, options)
    rows = sketch(np.asarray(section.obsm[SPATIAL], float))
    sample = _prepared(section[rows].copy(), features, rows, None if image is None else image[rows], options)
    return replace(sample, whole=_whole(section, image, sample, options))


def _prepared(
    section: AnnData,
    features: ImageFeatures | None,
    rows: np.ndarray | slice,
    image: np.ndarray | None,
    options: EmbeddingOptions,
) -> Prepared:
    """`prepare` for a section of ordinary size, or for a sketch: `rows` of the spots that the `features` are for."""
    positions = np.asarray(section.obsm[SPATIAL], float)
    pitch = float(section.uns[SECTION]["pitch_px"])
    counts = sparse.csr_array(section.X)
    nearest = neighbour_graph(positions, NEAREST)
    normalised = log_normalise(counts)
    genes = spatially_variable_genes(normalised, nearest, options.n_genes, options.min_spots_per_gene)
    if len(genes) < 2:
        raise EfnstError(
            f"Expected at least 2 genes seen in {options.min_spots_per_gene} or more spots, found {len(genes)}. "
            "Lower min_spots_per_gene, or look at the section's counts."
        )
    graph = neighbour_graph(positions, options.graph_neighbours)
    fusion = None
    if image is not None and options.image_fusion == "late" and shows_texture(section, min(features.patch_um)):
        patch = max(features.patch_um) / float(section.uns[SECTION]["um_per_px"])
        fusion = structured_components(image, positions, pitch, patch)
    structured = None if fusion is None else fusion.of(image) * options.image_weight
    precision = count_precision(counts.sum(1), options.weigh_by_counts)
    given = _given_features(section, options.expression_rep) if options.expression_rep else None
    seen = features.at(rows) if features and options.save_model else None
    return Prepared(
        *(positions, pitch, counts, normalised, genes, precision, nearest, graph, image, structured, seen, given),
        fusion=fusion,
    )


def _whole(section: AnnData, image: np.ndarray | None, sample: Prepared, options: EmbeddingOptions) -> Whole:
    """All units of a section, for what was learned from a `sample`."""
    positions = np.asarray(section.obsm[SPATIAL], float)
    counts = sparse.csr_array(section.X)
    totals, sketched = np.asarray(counts.sum(1)).ravel(), np.asarray(sample.counts.sum(1)).ravel()
    columns = np.full(section.n_vars, -1)
    columns[sample.genes] = np.arange(len(sample.genes))
    return Whole(
        positions=positions,
        pitch=sample.pitch,
        counts=counts[:, sample.genes].astype(np.float32),
        totals=totals,
        columns=columns,
        scale=float(np.median(sketched[sketched > 0])),
        precision=count_precision(totals, options.weigh_by_counts),
        nearest_graph=neighbour_graph(positions, NEAREST),
        graph=neighbour_graph(positions, options.graph_neighbours),
        image=image,
        structured=None if sample.fusion is None else sample.fusion.of(image) * options.image_weight,
        given=_given_features(section, options.expression_rep) if options.expression_rep else None,
    )


def _given_features(section: AnnData, name: str) -> np.ndarray:
    """Features that were computed before and kept beside the counts, float32 [n_spots, ·]."""
    if name not in section.obsm:
        raise EfnstError(
            f"Expected the features {name} in obsm of section.h5ad, found {', '.join(section.obsm)}: read the section "
            "with the same expression_rep."
        )
    return np.asarray(section.obsm[name], np.float32)
