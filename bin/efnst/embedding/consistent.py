"""Whether what was read of a cohort's space fits together, so that no section fails, or errs, on it later."""

import numpy as np

from efnst.embedding.cohort import Learned
from efnst.embedding.correction import Correction
from efnst.embedding.image_fusion import Fusion
from efnst.embedding.network import fitted_network
from efnst.embedding.options import EmbeddingOptions, NetworkOptions
from efnst.embedding.space import Components, ImageComponents, Space
from efnst.embedding.views import DIFFUSION_FACTORS
from efnst.program.tensors import Axes, require_positive


def require_learned(learned: Learned) -> None:
    """Raise an error of those that damaged files raise unless the arrays of a space fit together."""
    genes, axes = learned.genes, Axes({"genes": len(learned.genes.ids)})
    axes.require("genes: profile", genes.profile, "genes")
    if genes.ids.shape != genes.symbols.shape or genes.ids.ndim != 1 or not learned.spaces:
        raise ValueError("there are no trainings, or not as many symbols as identifiers of genes")
    _require_components("components", learned.components, len(genes.ids))
    for space in learned.spaces:
        _require_space(space, len(genes.ids), learned.options, learned.training.network)


def _require_space(space: Space, n_genes: int, options: EmbeddingOptions, network: NetworkOptions) -> None:
    """The parts of one training."""
    expression = _require_components("expression", space.expression, n_genes)
    inputs = _require_components("lent", space.lent, n_genes)
    fused = 0 if space.image is None else _require_image(space.image, expression)
    require_positive("deviations and widths", space.lent_deviation, space.target_deviation, *space.widths)
    if not 0 <= space.view.diffusion <= max(DIFFUSION_FACTORS) * options.diffusion or len(space.widths) != 2:
        raise ValueError("the diffusion or the widths are not those of a training")
    targets = fused + (inputs if options.target == "inputs" else expression)
    _require_network(space.state, inputs + fused, targets, network)
    if options.embedding != "latent":
        axes = Axes()
        axes.require("projection", space.projection, 2 * targets, "dimensions")
        axes.require("centre", space.centre, 2 * targets)


def _require_components(name: str, components: Components, n_genes: int) -> int:
    """How many components there are; raises ValueError unless all that leads to them fits together."""
    axes = Axes()
    axes.require_places(f"{name}: genes", components.genes, "genes", n_genes)
    if components.moments is not None:
        axes.require(f"{name}: moments", components.moments, 2, "genes")
    axes.require(f"{name}: weights", components.weights, "genes", "components")
    require_positive(f"{name}: scale", components.scale)
    _require_correction(name, components.correction, axes)
    return axes.sizes["components"]


def _require_image(image: ImageComponents, n_expression: int) -> int:
    """The same of the image; how many of its components are fused."""
    axes = Axes()
    require_positive("image: patch_um", image.patch_um)
    axes.require("image: weights", image.weights, "features", "components")
    axes.require("image: offset", image.offset, "components")
    axes.require("image: from_expression", image.from_expression, n_expression + 1, "components")
    _require_correction("image", image.correction, axes)
    return 0 if image.fusion is None else _require_fusion(image.fusion, axes)


def _require_fusion(fusion: Fusion, axes: Axes) -> int:
    """How many components are fused."""
    axes.require_places("fusion: columns", fusion.columns, "fused", axes.sizes["components"])
    axes.require("fusion: deviation", fusion.deviation, "fused")
    axes.require("fusion: structure", fusion.structure, "fused")
    require_positive("fusion: deviation", *fusion.deviation.tolist())
    return axes.sizes["fused"]


def _require_correction(name: str, correction: Correction | None, axes: Axes) -> None:
    """A correction of as many components as `axes` know."""
    if correction is None:
        return
    n_batches = len(correction.batches)
    axes.require(f"{name}: centroids", correction.centroids, "clusters", "components")
    axes.require(f"{name}: means", correction.means, "clusters", "components")
    axes.require(f"{name}: sizes", correction.sizes, "clusters")
    axes.require(f"{name}: shifts", correction.shifts, n_batches, "clusters", "components")
    axes.require(f"{name}: favour", correction.favour, n_batches, "clusters")
    require_positive(f"{name}: favour", *correction.favour.ravel().tolist())


def _require_network(state: dict[str, np.ndarray], n_inputs: int, n_targets: int, network: NetworkOptions) -> None:
    """A network whose layers are as wide as its options say: only then is one of that size made."""
    axes, h, mu = Axes(), network.encoded_dims, network.graph_dims
    axes.require("network: input", state["encoder.0.0.weight"], network.hidden, n_inputs)
    axes.require("network: encoder", state["encoder.1.0.weight"], h, network.hidden)
    axes.require("network: convolution", state["convolution.lin_key.weight"], network.convolved, h)
    axes.require("network: heads", state["heads.lin_key.weight"], 2 * mu, network.convolved)
    axes.require("network: decoder", state["decoder.1.weight"], n_targets, network.hidden)
    fitted_network(state, n_inputs, n_targets, network)
