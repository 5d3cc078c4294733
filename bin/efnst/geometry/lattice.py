"""Values known on a square lattice, told at places between: bilinear weights as a sparse matrix."""

import numpy as np
import pandas as pd
from scipy import sparse

CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))  # of a square of the lattice


def bilinear(places: np.ndarray, nodes: np.ndarray) -> sparse.csr_array:
    """Weights [n_places, n_nodes] with which values at the nodes give those at the places.

    `places` float [n_places, 2] and `nodes` int [n_nodes, 2] are in steps of the lattice. Nodes that are missing, at
    the edge of tissue and in holes, leave their weight to the others around a place; a place without any has a row of
    zeros. A place within 1e-9 of a node takes that one alone.
    """
    low, width = nodes.min(0), int(np.ptp(nodes[:, 1])) + 1
    index = pd.Index((nodes - low) @ (width, 1))
    first = np.floor(places + 1e-9).astype(np.int64)
    share = np.clip(places - first, 0, 1)
    rows, columns, weights = [], [], []
    for step in CORNERS:
        corner = first + step - low
        weight = np.prod(np.where(step, share, 1 - share), axis=1)
        node = index.get_indexer(corner @ (width, 1))
        known = (node >= 0) & (corner[:, 1] >= 0) & (corner[:, 1] < width) & (weight > 1e-9)
        rows.append(np.flatnonzero(known))
        columns.append(node[known])
        weights.append(weight[known])
    table = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    matrix = sparse.coo_array(table, (len(places), len(nodes))).tocsr()
    total = np.asarray(matrix.sum(1)).ravel()
    return sparse.csr_array(sparse.diags_array(1 / np.where(total > 0, total, 1)) @ matrix)


def lattice_over(positions: np.ndarray, step: float) -> tuple[np.ndarray, sparse.csr_array]:
    """The nodes of a lattice with this `step` around `positions` float64 [n, 2], and the weights to tell values there.

    Nodes are float64 [n_nodes, 2] in the units of the positions, by rows (second coordinate first): every place has
    all four around it. The weights are those of `bilinear`, [n, n_nodes].
    """
    places = (positions - positions.min(0))[:, ::-1] / step
    first = np.floor(places).astype(np.int64)
    nodes = np.unique(np.concatenate([first + corner for corner in CORNERS]), axis=0)
    return nodes[:, ::-1] * step + positions.min(0), bilinear(places, nodes)
