"""How much of what a cohort's components tell a section has: whether it is of that tissue at all."""

import numpy as np

from efnst.geometry.neighbours import NEAREST, neighbour_graph


def structure_of(components: np.ndarray, positions: np.ndarray) -> float:
    """The covariance of neighbouring units, of all `components` float [n_units, n_components] together.

    Noise is not shared by neighbours, and tissue that components were not made for hardly varies along them: of either,
    little is left. 0 for units without neighbours at `positions` [n_units, 2].
    """
    graph = neighbour_graph(positions, NEAREST)
    centred = np.asarray(components, np.float64) - components.mean(0)
    return max(0.0, float((centred * (graph @ centred)).sum() / max(graph.nnz, 1)))
