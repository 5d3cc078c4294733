"""The space that sections share: fitted to a sample of all of them, then each section is brought into it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import sparse

from efnst.embedding.augmentation import mixing, neighbour_weights
from efnst.embedding.correction import Correction, corrected, fit_correction
from efnst.embedding.diffusion import diffuse
from efnst.embedding.gated import CPU, graph_on
from efnst.embedding.image_fusion import Fusion, structured_components
from efnst.embedding.network import fitted_network
from efnst.embedding.options import NO_BATCH, EmbeddingOptions, TrainingOptions
from efnst.embedding.part import Part
from efnst.embedding.reproducible import reproducible_torch
from efnst.embedding.training import train
from efnst.embedding.views import View, view_of
from efnst.errors import EfnstError
from efnst.genes.components import dense_loadings, first_deviation, largest_signs
from efnst.genes.decomposition import leading_vectors

LEAST_DEVIATION = 0.05  # of a gene, but in a section by itself: those that hardly vary are not blown up
ROWS_AT_ONCE = 20_000
Values = np.ndarray | sparse.csr_array  # [n_units, n_genes]


@dataclass(frozen=True)
class Components:
    """How components follow from counts.

    Values are log(1 + count · `scale` / total) of `genes`, or the features that take their place, standardised within
    each section, or, where `moments` [2, n_genes] are given, by these (mean and one over the standard deviation).
    Components are values @ `weights` [n_genes, n_components], then corrected where there is a `correction`.
    """

    genes: np.ndarray
    scale: float
    moments: np.ndarray | None
    weights: np.ndarray
    correction: Correction | None

    def of(self, part: Part, mixing: sparse.csr_array | None = None) -> np.ndarray:
        """Corrected components float32 [n_units, n_components]; `mixing` [n_units, n_units] adds neighbours' counts."""
        return corrected(self.plain(part, mixing), part.batches, self.correction)

    def plain(self, part: Part, mixing: sparse.csr_array | None = None) -> np.ndarray:
        """The same, not corrected."""
        found = np.empty((len(part.seen), self.weights.shape[1]), np.float32)
        for number in np.unique(part.samples):
            rows = np.flatnonzero(part.samples == number)
            moments = self.moments
            if moments is None:
                moments = _moments(values_of(part, self.genes, self.scale, rows, mixing), len(rows), LEAST_DEVIATION)
            weights = (moments[1][:, None] * self.weights).astype(np.float32)
            products = [values @ weights for values in values_of(part, self.genes, self.scale, rows, mixing)]
            found[rows] = np.concatenate(products) - (moments[0] @ weights).astype(np.float32)
        return found


def _moments(blocks: Iterable[Values], n_units: int, least_deviation: float) -> np.ndarray:
    """Mean, and one over the standard deviation, of each column of `blocks`, [2, n_columns]; 0 for a constant."""
    sums = sum(np.stack([np.asarray(part.sum(0)) for part in (x, x.multiply(x))]).astype(np.float64) for x in blocks)
    mean, square = sums / n_units
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return np.stack([mean, np.where(deviation > 1e-6, 1 / np.maximum(deviation, max(least_deviation, 1e-6)), 0)])


def values_of(
    part: Part, genes: np.ndarray, scale: float, rows: np.ndarray, mixing: sparse.csr_array | None
) -> Iterator[Values]:
    """log(1 + count · scale / total) of `genes`, float32 CSR [n_rows, n_genes], of units or of mixtures of units.

    Where features take the place of expression it is these. Block by block: the mixtures of a slide take several GB.
    """
    known = part.given if part.given is not None else sparse.csr_array(part.counts[:, genes])
    totals = part.totals if mixing is None else mixing @ part.totals
    factors = (scale / np.maximum(totals, 1e-12)).astype(np.float32)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        block = rows[start : start + ROWS_AT_ONCE]
        values = known[block] if mixing is None else mixing[block] @ known
        if part.given is None:
            values = sparse.csr_array(values, dtype=np.float32)
            values.data = np.log1p(values.data * np.repeat(factors[block], np.diff(values.indptr)))
        yield values


def fit_components(
    part: Part, genes: np.ndarray, n_components: int, seed: int, mixing: sparse.csr_array | None = None
) -> tuple[Components, np.ndarray]:
    """Principal components of the `genes` of a sample of all sections, and what they are there, corrected.

    Genes are standardised within each section, unless nothing is taken out of them. The sign of a component is fixed by
    its largest value.
    """
    if part.given is not None:
        return _of_given(part.given if mixing is None else mixing @ part.given, n_components)
    totals = part.totals if mixing is None else mixing @ part.totals
    scale = float(np.median(totals[totals > 0]))
    values = sparse.vstack(list(values_of(part, genes, scale, np.arange(len(totals)), mixing)), "csr")
    as_one = (part.batches == NO_BATCH).all()
    strata = np.zeros(len(totals), int) if as_one else part.samples
    least = 0 if as_one and not part.samples.any() else LEAST_DEVIATION
    moments = np.stack([_moments([values[strata == n]], (strata == n).sum(), least) for n in range(strata.max() + 1)])
    left, sizes, right = leading_vectors(values, moments, strata, n_components, seed)
    signs = largest_signs(left)
    scores, weights = (left * sizes * signs).astype(np.float32), (right.T * signs).astype(np.float32)
    correction = fit_correction(scores, part.batches, seed)
    components = Components(genes, scale, moments[0] if as_one else None, weights, correction)
    return components, corrected(scores, part.batches, correction)


def _of_given(values: np.ndarray, n_components: int) -> tuple[Components, np.ndarray]:
    """The same of features that take the place of expression, which are centred and not scaled."""
    mean, weights = dense_loadings(values, n_components)
    moments = np.stack([mean, np.ones(len(mean))])
    components = Components(np.arange(len(mean)), 1.0, moments, weights.astype(np.float32), None)
    return components, ((values - mean) @ weights).astype(np.float32)


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

    def of(self, part: Part, expression: np.ndarray | None) -> np.ndarray:
        """Corrected components float32 [n_units, n_components]; `expression` is needed where units have no image."""
        found = np.empty((len(part.seen), self.weights.shape[1]), np.float32)
        if not part.seen.all():
            found[:] = np.column_stack([expression, np.ones(len(expression))]) @ self.from_expression
        if part.image is not None:
            found[part.seen] = self.seen(part)
        return found

    def seen(self, part: Part) -> np.ndarray:
        """The same of the units that have an image."""
        if part.image.n_features != len(self.weights):
            raise EfnstError(
                f"Expected {len(self.weights)} image features of each spot, found {part.image.n_features}: give "
                "patch_um and the encoder as where the space was learned, or use_image false."
            )
        values = part.image.mapped(self.weights, self.offset, part.seen)
        return corrected(values, part.batches[part.seen], self.correction)

    def told_from(self, expression: np.ndarray, part: Part) -> "ImageComponents":
        """The same where the units of a sample that have an image say how `expression` tells it [n_units, n]."""
        given = np.column_stack([expression[part.seen], np.ones(part.seen.sum())])
        return replace(self, from_expression=np.linalg.lstsq(given, self.seen(part), rcond=None)[0])


def fit_image(part: Part, options: EmbeddingOptions, seed: int) -> ImageComponents | None:
    """Components of the image features of a sample; None where no unit has any or none are wanted."""
    if part.image is None or options.image_fusion == "none":
        return None
    features = part.image.at(part.seen)
    mean, weights = dense_loadings(features, options.image_pcs)
    correction = fit_correction((features - mean) @ weights, part.batches[part.seen], seed)
    offset, untold = -(mean @ weights).astype(np.float32), np.zeros((0, weights.shape[1]))
    image = ImageComponents(part.patch_um, weights.astype(np.float32), offset, correction, untold, None)
    if options.image_fusion != "late" or not part.texture:
        return image
    known, places = image.seen(part), part.positions[part.seen]
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

    def of(
        self, part: Part, options: EmbeddingOptions, training: TrainingOptions, device: torch.device = CPU
    ) -> np.ndarray:
        """The embedding of a section float32 [n_units, n_dims]."""
        values = self.expression.of(part)
        shown = None if self.image is None else self.image.of(part, values)
        augmenting, _ = _mixing(part, values, shown, options)
        smooth = diffuse(values, part.nearest_graph, self.view.diffusion, part.precision)
        inputs, targets = self.given(part, shown, self.lent.of(part, augmenting), smooth, options)
        latent, decoded = _encoded(self.state, inputs, targets.shape[1], part, training, device)
        if options.embedding == "latent":
            return latent
        return self.projected(_joined(targets, decoded, self.widths))

    def projected(self, joined: np.ndarray) -> np.ndarray:
        """The embedding of what was asked for and what was decoded, side by side."""
        return ((joined - self.centre) @ self.projection).astype(np.float32)

    def given(
        self, part: Part, shown: np.ndarray | None, lent: np.ndarray, smooth: np.ndarray, options: EmbeddingOptions
    ) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of the network, float32 [n_units, ·].

        They are the components `lent`, and those of the expression made `smooth`, with those of the image components
        `shown` that have spatial structure beside both.
        """
        inputs = (lent / self.lent_deviation).astype(np.float32)
        targets = (smooth / self.target_deviation).astype(np.float32)
        if self.image is not None and self.image.fusion is not None:
            fused = self.image.fusion.of(shown) * np.float32(options.image_weight)
            inputs = np.hstack([inputs, fused])
            targets = np.hstack([targets, diffuse(fused, part.nearest_graph, self.view.diffusion)])
        return inputs, inputs if options.target == "inputs" else targets


def fit_space(
    training: TrainingOptions,
    part: Part,
    n_genes: int,
    image: ImageComponents | None,
    options: EmbeddingOptions,
    device: torch.device,
) -> tuple[Space, dict, np.ndarray]:
    """The space of one training on a sample of all sections, the training's record, and the embedding of the sample.

    The network reads the principal components of the augmented expression and, with late fusion, the image components
    that have spatial structure. It decodes the components of the plain expression (and the same of the image), diffused
    over the graph. The embedding `decoded` is the first `embedding_dims` principal components of what it was asked for
    and what it decoded, side by side: the skip path keeps what diffusion alone knows.
    """
    view = view_of(options, training.seed)
    genes = np.arange(min(view.n_genes, n_genes))
    expression, values = fit_components(part, genes, view.expression_pcs, training.seed)
    image = None if image is None else image.told_from(values, part)
    shown = None if image is None else image.of(part, values)
    augmenting, lonely = _mixing(part, values, shown, options)
    lent, read = fit_components(part, genes, view.expression_pcs, training.seed, augmenting)
    smooth = diffuse(values, part.nearest_graph, view.diffusion, part.precision)
    deviations = first_deviation(read), first_deviation(smooth)
    space = Space(view, expression, lent, *deviations, image, {}, (1.0, 1.0), np.zeros(0), np.zeros((0, 0)))
    inputs, targets = space.given(part, shown, read, smooth, options)
    with reproducible_torch(1, training.seed):
        trained = train(inputs, targets, part.graph, training, device)
    widths = tuple(max(float(values.std(0).max()), 1e-12) for values in (targets, trained.decoded))
    joined = _joined(targets, trained.decoded, widths)
    centre, projection = dense_loadings(joined, options.embedding_dims)
    space = replace(space, state=trained.state, widths=widths, centre=centre, projection=projection)
    record = {
        "seed": training.seed,
        "n_genes": len(genes),
        "expression_pcs": values.shape[1],
        "diffusion": view.diffusion,
        "epochs": len(trained.loss["graph"]),
        "seconds": round(trained.seconds, 3),
        "n_spots_without_neighbours": lonely,
        "loss": trained.loss,
    }
    return space, record, trained.latent if options.embedding == "latent" else space.projected(joined)


def _joined(targets: np.ndarray, decoded: np.ndarray, widths: tuple[float, float]) -> np.ndarray:
    """What was asked for and what was decoded, side by side, each with its widest column at 1."""
    return np.hstack([targets / widths[0], decoded / widths[1]]).astype(np.float64)


def _mixing(
    part: Part, expression: np.ndarray, shown: np.ndarray | None, options: EmbeddingOptions
) -> tuple[sparse.csr_array, int]:
    """What augments each unit's counts, the unit itself included [n_units, n_units], and units without neighbours."""
    weights = neighbour_weights(part.positions, 1.0, expression, shown, options.n_neighbours)
    lonely = int((np.diff(weights.indptr) == 0).sum()) if options.n_neighbours else 0
    return mixing(weights, options.augmentation), lonely


def _encoded(
    state: dict[str, np.ndarray],
    inputs: np.ndarray,
    n_targets: int,
    part: Part,
    training: TrainingOptions,
    device: torch.device,
) -> tuple[np.ndarray, np.ndarray]:
    """What the fitted network makes of a section: latent and decoded values."""
    network = fitted_network(state, inputs.shape[1], n_targets, training.network, device)
    with torch.no_grad():
        encoded = network(torch.from_numpy(inputs).to(device), graph_on(part.graph, device))
    return encoded.latent.cpu().numpy(), encoded.decoded.cpu().numpy()
