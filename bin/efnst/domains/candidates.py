"""Training-free views: what trainings are asked to decode, whose partitions vote beside those of the trainings."""

from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy import sparse

from efnst.embedding.diffusion import count_precision, diffuse
from efnst.embedding.views import DIFFUSION_FACTORS
from efnst.genes.components import dense_components, unit_scale, widest_to_one
from efnst.geometry.neighbours import NEAREST, neighbour_graph

COMPONENT_SHARES = (1 / 2, 1)  # of the components of the expression; each with each of `DIFFUSION_FACTORS`
TAUGHT_DIFFUSION = (0.5, 2.0)  # of the components that heads of names read
DRAWN = tuple(product(COMPONENT_SHARES, DIFFUSION_FACTORS))


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


def space_of(arrays: dict[str, np.ndarray], totals: np.ndarray, positions: np.ndarray, weigh_by_counts: bool) -> Space:
    """The space of the `arrays` of embedding.npz; `totals` [n_spots] of counts, `positions` [n_spots, 2]."""
    return Space(
        expression=arrays["expression"],
        image=arrays.get("fused"),
        graph=neighbour_graph(positions, NEAREST),
        precision=count_precision(totals, weigh_by_counts),
        width=arrays["embedding_0"].shape[1],
    )


class Smooth(NamedTuple):
    """Components of a section diffused over its graph: of the expression and, where it is fused, of the image."""

    expression: np.ndarray
    image: list[np.ndarray]

    @classmethod
    def of(cls, space: Space, diffusion: float) -> "Smooth":
        """All components of a section."""
        image = [] if space.image is None else [diffuse(space.image, space.graph, diffusion)]
        return cls(diffuse(space.expression, space.graph, diffusion, space.precision), image)

    def first(self, share: float) -> np.ndarray:
        """As many of the components of the expression."""
        return self.expression[:, : max(1, round(share * self.expression.shape[1]))]

    def view(self, share: float, width: int) -> np.ndarray:
        """One view, float32 [n_spots, ≤ width], as trainings are asked to decode."""
        return dense_components(widest_to_one(np.hstack([unit_scale(self.first(share)), *self.image])), width)


def views(space: Space, diffusion: float) -> list[np.ndarray]:
    """All training-free views, what trainings are asked for: half or all components, once to four times the diffusion.

    The image, where it is fused, stands beside the expression in each of them.
    """
    return [smooth.view(share, space.width) for share, smooth in _drawn(space, diffusion)]


@dataclass(frozen=True)
class CommonViews:
    """The views of sections that share a space: the same columns in each, `scale` being what divides the expression."""

    scale: float
    diffusion: float
    weigh_by_counts: bool

    def of(self, arrays: dict[str, np.ndarray], totals: np.ndarray, positions: np.ndarray) -> list[np.ndarray]:
        """The views of a section, float32 [n_spots, ·]; for the arguments see `space_of`."""
        space, scale = space_of(arrays, totals, positions, self.weigh_by_counts), np.float32(self.scale)
        drawn = _drawn(space, self.diffusion)
        return [np.hstack([smooth.first(share) / scale, *smooth.image]) for share, smooth in drawn]


def _drawn(space: Space, diffusion: float) -> list[tuple[float, Smooth]]:
    """What each view is made of: the share of the components, and all of them diffused."""
    smooth = {factor: Smooth.of(space, factor * diffusion) for factor in DIFFUSION_FACTORS}
    return [(share, smooth[factor]) for share, factor in DRAWN]


def taught_values(
    arrays: dict[str, np.ndarray], totals: np.ndarray, positions: np.ndarray, weigh_by_counts: bool
) -> np.ndarray:
    """What heads of names read, float32 [n_spots, ·]: components diffused as little as the baseline's, and farther."""
    graph, precision = neighbour_graph(positions, NEAREST), count_precision(totals, weigh_by_counts)
    return np.hstack([diffuse(arrays["expression"], graph, strength, precision) for strength in TAUGHT_DIFFUSION])
