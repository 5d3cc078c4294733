"""Training-free views: what trainings are asked to decode, whose partitions vote beside those of the trainings."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import sparse

from efnst.domains.options import DomainOptions
from efnst.embedding.diffusion import count_precision, diffuse
from efnst.embedding.views import DIFFUSION_FACTORS
from efnst.genes.components import dense_components, unit_scale, widest_to_one
from efnst.geometry.neighbours import NEAREST, neighbour_graph

COMPONENT_SHARES = (1 / 2, 1)  # of the components of the expression; each with each of `DIFFUSION_FACTORS`


@dataclass(frozen=True)
class Space:
    """What a training-free view is made of: float [n_spots, ·] but for the graph [n_spots, n_spots].

    `expression` are components of the expression, `image` those of the image that are fused, None without; `precision`
    [n_spots] says how well a spot is known, `width` how many columns a view has at most.
    """

    expression: np.ndarray
    image: np.ndarray | None
    graph: sparse.csr_array
    precision: np.ndarray
    width: int


def space_of(
    arrays: dict[str, np.ndarray], counts: sparse.csr_array, positions: np.ndarray, options: DomainOptions
) -> Space:
    """The space of the `arrays` of embedding.npz; `counts` [n_spots, n_genes], `positions` [n_spots, 2]."""
    precision = count_precision(np.asarray(counts.sum(1)).ravel())
    return Space(
        expression=arrays["expression"],
        image=arrays.get("fused"),
        graph=neighbour_graph(positions, NEAREST),
        precision=precision if options.weigh_by_counts else np.ones(len(positions)),
        width=arrays["embedding_0"].shape[1],
    )


def views(space: Space, diffusion: float) -> list[np.ndarray]:
    """All training-free views, what trainings are asked for: half or all components, once to four times the diffusion.

    The image, where it is fused, stands beside the expression in each of them.
    """
    return [view(space, share, factor * diffusion) for share, factor in product(COMPONENT_SHARES, DIFFUSION_FACTORS)]


def view(space: Space, share: float, diffusion: float) -> np.ndarray:
    """One view, float32 [n_spots, ≤ width]: components diffused over the graph, as trainings are asked to decode."""
    n_components = max(1, round(share * space.expression.shape[1]))
    parts = [unit_scale(diffuse(space.expression[:, :n_components], space.graph, diffusion, space.precision))]
    if space.image is not None:
        parts.append(diffuse(space.image, space.graph, diffusion))
    return dense_components(widest_to_one(np.hstack(parts)), space.width)
