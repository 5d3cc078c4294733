"""A space that several sections share: fitted to a sample of all of them, then each section is brought into it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import sparse

from efnst.embedding.augmentation import neighbour_weights
from efnst.embedding.correction import Correction, fit_correction
from efnst.embedding.diffusion import diffuse
from efnst.embedding.gated import CPU, graph_on
from efnst.embedding.image_fusion import Fusion, structured_components
from efnst.embedding.options import EmbeddingOptions, TrainingOptions
from efnst.embedding.part import Part
from efnst.embedding.reproducible import reproducible_torch
from efnst.embedding.saved_model import affine_map, fitted_network
from efnst.embedding.training import train
from efnst.embedding.views import View, view_of
from efnst.embedding.whole import ROWS_AT_ONCE
from efnst.errors import EfnstError
from efnst.genes.components import dense_components, first_deviation, largest_signs
from efnst.genes.decomposition import leading_vectors

LEAST_DEVIATION = 0.05  # of a gene within a section: those that hardly vary are not blown up


@dataclass(frozen=True)
class Components:
    """How components follow from counts.

    Values are log(1 + count · `scale` / total) of `genes`, standardised within each section, or, where `moments`
    [2, n_genes] are given, by these (mean and one over the standard deviation). Components are values @ `weights`
    [n_genes, n_components], then corrected where there is a `correction`.
    """

    genes: np.ndarray
    scale: float
    moments: np.ndarray | None
    weights: np.ndarray
    correction: Correction | None

    def of(self, part: Part, mixing: sparse.csr_array | None = None) -> np.ndarray:
        """Corrected components float32 [n_units, n_components]; `mixing` [n_units, n_units] adds neighbours' counts."""
        values = self.plain(part, mixing)
        if self.correction is not None:
            for batch, rows in part.of_batches():
                values[rows] = self.correction.of(values[rows], batch)
        return values

    def plain(self, part: Part, mixing: sparse.csr_array | None = None) -> np.ndarray:
        """The same, not corrected."""
        found = np.empty((len(part.seen), self.weights.shape[1]), np.float32)
        for number in np.unique(part.samples):
            rows = np.flatnonzero(part.samples == number)
            moments = self.moments
            if moments is None:
                moments = _moments(self._blocks(part, rows, mixing), len(rows))
            weights = (moments[1][:, None] * self.weights).astype(np.float32)
            products = [values @ weights for values in self._blocks(part, rows, mixing)]
            found[rows] = np.concatenate(products) - (moments[0] @ weights).astype(np.float32)
        return found

    def _blocks(self, part: Part, rows: np.ndarray, mixing: sparse.csr_array | None) -> Iterator[sparse.csr_array]:
        """The values of some units, block by block: those of a whole slide would take several GB."""
        starts = range(0, len(rows), ROWS_AT_ONCE)
        return (log_values(part, self.genes, self.scale, rows[n : n + ROWS_AT_ONCE], mixing) for n in starts)


def _moments(blocks: Iterable[sparse.csr_array], n_units: int) -> np.ndarray:
    """Mean, and one over the standard deviation, of each column of `blocks`, [2, n_columns]; 0 for a constant."""
    sums = sum(np.stack([np.asarray(part.sum(0)) for part in (x, x.multiply(x))]).astype(np.float64) for x in blocks)
    mean, square = sums / n_units
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return np.stack([mean, np.where(deviation > 1e-6, 1 / np.maximum(deviation, LEAST_DEVIATION), 0)])


def log_values(
    part: Part, genes: np.ndarray, scale: float, rows: np.ndarray, mixing: sparse.csr_array | None
) -> sparse.csr_array:
    """log(1 + count · scale / total) of `genes`, float32 CSR [n_rows, n_genes], of units or of mixtures of units."""
    counts = sparse.csr_array(part.counts[rows] if mixing is None else mixing[rows] @ part.counts, dtype=np.float32)
    totals = np.asarray(counts.sum(1), np.float64).ravel()
    counts.data *= np.repeat((scale / np.maximum(totals, 1e-12)).astype(np.float32), np.diff(counts.indptr))
    values = sparse.csr_array(counts[:, genes])
    values.data = np.log1p(values.data)
    return values


def fit_components(
    part: Part, genes: np.ndarray, n_components: int, seed: int, mixing: sparse.csr_array | None = None
) -> Components:
    """Principal components of the `genes` of a sample of all sections, and the correction of its batches.

    Genes are standardised within each section, unless all are one batch.
    """
    totals = part.totals if mixing is None else mixing @ part.totals
    scale = float(np.median(totals[totals > 0]))
    values = log_values(part, genes, scale, np.arange(len(totals)), mixing)
    one_batch = len(np.unique(part.batches)) == 1
    strata = np.zeros(len(totals), int) if one_batch else part.samples
    rows_of = [np.flatnonzero(strata == number) for number in np.unique(strata)]
    moments = np.stack([_moments([values[rows]], len(rows)) for rows in rows_of])
    weights = _loadings(values, moments, np.searchsorted(np.unique(strata), strata), n_components, seed)
    plain = Components(genes, scale, moments[0] if one_batch else None, weights, None)
    return replace(plain, correction=fit_correction(plain.plain(part, mixing), part.batches, seed))


def _loadings(
    values: sparse.csr_array, moments: np.ndarray, strata: np.ndarray, n_components: int, seed: int
) -> np.ndarray:
    """Loadings float32 [n_genes, ≤ n_components] of `values` standardised by `moments` [n_strata, 2, n_genes].

    The sign of a component is fixed by its largest loading.
    """
    loadings = leading_vectors(values, moments, strata, n_components, seed)[2].T
    return (loadings * largest_signs(loadings)).astype(np.float32)


@dataclass(frozen=True)
class ImageComponents:
    """How the image components that are fused follow from image features and, where there is no image, from expression.

    components = (features @ `weights` + `offset`), corrected; `fusion` chooses and weighs them, `from_expression`
    [n_expression + 1, n_components] tells them where nothing is seen. The patches were `patch_um` wide.
    """

    patch_um: float
    weights: np.ndarray
    offset: np.ndarray
    correction: Correction | None
    from_expression: np.ndarray
    fusion: Fusion | None

    def of(self, part: Part, expression: np.ndarray) -> np.ndarray:
        """Corrected components float32 [n_units, n_components]."""
        found = (np.column_stack([expression, np.ones(len(expression))]) @ self.from_expression).astype(np.float32)
        if part.image is None:
            return found
        if part.image.shape[1] != len(self.weights):
            raise EfnstError(
                f"Expected {len(self.weights)} image features of each spot, found {part.image.shape[1]}: give patch_um "
                "and the encoder as where the space was learned, or use_image false."
            )
        for batch, rows in part.of_batches():
            seen = rows & part.seen
            if seen.any():
                values = part.image[seen] @ self.weights + self.offset
                found[seen] = values if self.correction is None else self.correction.of(values, batch)
        return found


def fit_image(part: Part, expression: np.ndarray, options: EmbeddingOptions, seed: int) -> ImageComponents | None:
    """Components of the image features of a sample; None where no unit has any or none are wanted."""
    if part.image is None or options.image_fusion == "none":
        return None
    features = part.image[part.seen].astype(np.float64)
    weights, offset = affine_map(features, dense_components(features, options.image_pcs), is_standardised=False)
    values = (features @ weights + offset).astype(np.float32)
    correction = fit_correction(values, part.batches[part.seen], seed)
    untold = np.zeros((expression.shape[1] + 1, len(offset)))
    image = ImageComponents(part.patch_um, weights, offset, correction, untold, None)
    known = image.of(part, expression)[part.seen]
    told = np.column_stack([expression[part.seen], np.ones(part.seen.sum())])
    image = replace(image, from_expression=np.linalg.lstsq(told, known, rcond=None)[0])
    if options.image_fusion != "late" or not part.texture:
        return image
    places = part.positions[part.seen]
    return replace(image, fusion=structured_components(known, places, 1.0, part.patch_um / part.pitch_um))


@dataclass(frozen=True)
class Space:
    """One training: what leads from a section to its embedding.

    `expression` are the components that are decoded, `lent` those of the augmented expression that are read, each
    divided by its deviation; `projection` [n_columns, n_dims] and `centre` make the embedding of what was asked for and
    what was decoded, divided by `widths`.
    """

    view: View
    expression: Components
    lent: Components
    lent_deviation: float
    target_deviation: float
    image: ImageComponents | None
    state: dict[str, np.ndarray]
    widths: tuple[float, float]
    centre: np.ndarray
    projection: np.ndarray

    def of(self, part: Part, options: EmbeddingOptions, network: "TrainingOptions") -> np.ndarray:
        """The embedding of a section float32 [n_units, n_dims]."""
        inputs, targets = _seen(self, part, options)
        latent, decoded = _encoded(self.state, inputs, targets.shape[1], part, network)
        if options.embedding == "latent":
            return latent
        return ((_joined(targets, decoded, self.widths) - self.centre) @ self.projection).astype(np.float32)


def fit_space(
    part: Part, n_genes: int, options: EmbeddingOptions, training: TrainingOptions, device: torch.device
) -> tuple[Space, dict]:
    """The space of one training on a sample of all sections, and the training's record."""
    view = view_of(options, training.seed)
    genes = np.arange(min(view.n_genes, n_genes))
    expression = fit_components(part, genes, view.expression_pcs, training.seed)
    values = expression.of(part)
    image = fit_image(part, values, options, training.seed)
    mixing, lonely = _mixing(part, values, image, options)
    lent = fit_components(part, genes, view.expression_pcs, training.seed, mixing)
    blank = Space(view, expression, lent, 1.0, 1.0, image, {}, (1.0, 1.0), np.zeros(0), np.zeros((0, 0)))
    deviation = first_deviation(lent.of(part, mixing))
    target = first_deviation(diffuse(values, part.nearest_graph, view.diffusion, part.precision))
    space = replace(blank, lent_deviation=deviation, target_deviation=target)
    inputs, targets = _seen(space, part, options)
    with reproducible_torch(1, training.seed):
        trained = train(inputs, targets, part.graph, training, device)
    widths = tuple(max(float(values.std(0).max()), 1e-12) for values in (targets, trained.decoded))
    joined = _joined(targets, trained.decoded, widths)
    scores = dense_components(joined, options.embedding_dims)
    projection = np.linalg.lstsq(joined - joined.mean(0), scores.astype(np.float64), rcond=None)[0]
    space = replace(space, state=trained.state, widths=widths, centre=joined.mean(0), projection=projection)
    return space, {
        "seed": training.seed,
        "n_genes": len(genes),
        "expression_pcs": values.shape[1],
        "diffusion": view.diffusion,
        "epochs": len(trained.loss["graph"]),
        "seconds": round(trained.seconds, 3),
        "n_spots_without_neighbours": lonely,
        "loss": trained.loss,
    }


def _joined(targets: np.ndarray, decoded: np.ndarray, widths: tuple[float, float]) -> np.ndarray:
    """What was asked for and what was decoded, side by side, each with its widest column at 1."""
    return np.hstack([targets / widths[0], decoded / widths[1]]).astype(np.float64)


def _mixing(
    part: Part, expression: np.ndarray, image: ImageComponents | None, options: EmbeddingOptions
) -> tuple[sparse.csr_array, int]:
    """What augments each unit's counts, the unit itself included [n_units, n_units], and units without neighbours."""
    shown = None if image is None else image.of(part, expression)
    weights = neighbour_weights(part.positions, 1.0, expression, shown, options.n_neighbours)
    mixing = sparse.csr_array(sparse.eye_array(len(expression)) + options.augmentation * weights, dtype=np.float32)
    return mixing, int((np.diff(weights.indptr) == 0).sum()) if options.n_neighbours else 0


def _seen(space: Space, part: Part, options: EmbeddingOptions) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of the network, float32 [n_units, ·]."""
    values = space.expression.of(part)
    mixing, _ = _mixing(part, values, space.image, options)
    inputs = space.lent.of(part, mixing) / np.float32(space.lent_deviation)
    smooth = diffuse(values, part.nearest_graph, space.view.diffusion, part.precision)
    targets = (smooth / space.target_deviation).astype(np.float32)
    if space.image is not None and space.image.fusion is not None:
        fused = space.image.fusion.of(space.image.of(part, values)) * np.float32(options.image_weight)
        inputs = np.hstack([inputs, fused])
        targets = np.hstack([targets, diffuse(fused, part.nearest_graph, space.view.diffusion)])
    return inputs, inputs if options.target == "inputs" else targets


def _encoded(
    state: dict[str, np.ndarray], inputs: np.ndarray, n_targets: int, part: Part, training: TrainingOptions
) -> tuple[np.ndarray, np.ndarray]:
    """What the fitted network makes of a section: latent and decoded values."""
    network = fitted_network(state, inputs.shape[1], n_targets, training.network)
    with torch.no_grad():
        encoded = network(torch.from_numpy(inputs), graph_on(part.graph, CPU))
    return encoded.latent.numpy(), encoded.decoded.numpy()
