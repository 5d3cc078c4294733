"""All units of a section of which a sketch was learned from: what a training made of the sketch, applied to them."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from efnst.embedding.gated import graph_on
from efnst.embedding.network import EfnstNetwork, Encoded
from efnst.embedding.saved_model import affine_map

Values = np.ndarray | sparse.csr_array  # what components were made of, [n_sketch, ·]
ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class Whole:
    """All units; arrays and graphs as in `prepare.Prepared`.

    `counts` are those of the genes that are learned from, `totals` [n_units] of all genes; `columns` [n_all_genes] are
    the places of genes in `counts`. `scale` is the total that the sketch's counts were normalised to.
    """

    positions: np.ndarray
    pitch: float
    counts: sparse.csr_array
    totals: np.ndarray
    columns: np.ndarray
    scale: float
    precision: np.ndarray
    nearest_graph: sparse.csr_array
    graph: sparse.csr_array
    image: np.ndarray | None
    structured: np.ndarray | None
    given: np.ndarray | None

    def components(self, genes: np.ndarray, values: Values, fitted: np.ndarray) -> np.ndarray:
        """Of all units the components that are `fitted` [n_sketch, ·] for the `values` of the sketch."""
        return self._mapped(genes, affine_map(values, fitted, self.given is None), self.scale)

    def augmented_components(
        self, weights: sparse.csr_array, strength: float, scale: float, genes: np.ndarray, learned: tuple
    ) -> np.ndarray:
        """The same after every unit was augmented by its neighbours.

        `scale` is the total that the augmented sketch was normalised to, `learned` its values and their components.
        """
        mixing = sparse.csr_array(sparse.eye_array(len(self.positions)) + strength * weights, dtype=np.float32)
        return self._mapped(genes, affine_map(*learned, self.given is None), scale, mixing)

    def encoded(self, inputs: np.ndarray, network: EfnstNetwork, device: torch.device) -> Encoded:
        """What a fitted network on `device` makes of all units, in one pass."""
        with torch.no_grad():
            return network(torch.from_numpy(inputs).to(device), graph_on(self.graph, device))

    def _mapped(
        self, genes: np.ndarray, to_components: tuple, scale: float, mixing: sparse.csr_array | None = None
    ) -> np.ndarray:
        """Components float32 [n_units, ·] of the units, or of their mixtures with neighbours.

        Block by block: the augmented counts of a whole slide would take several GB.
        """
        weights, offset = to_components
        if self.given is not None:
            return ((self.given if mixing is None else mixing @ self.given) @ weights + offset).astype(np.float32)
        totals = self.totals if mixing is None else mixing @ self.totals
        factor = (scale / np.maximum(totals, 1e-12)).astype(np.float32)
        spread = np.zeros((self.counts.shape[1], len(offset)), np.float32)
        spread[self.columns[genes]] = weights
        found = np.empty((len(totals), len(offset)), np.float32)
        for start in range(0, len(totals), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            block = sparse.csr_array(
                self.counts[rows] if mixing is None else mixing[rows] @ self.counts, dtype=np.float32
            )
            block.data = np.log1p(block.data * np.repeat(factor[rows], np.diff(block.indptr)))
            found[rows] = block @ spread + offset
        return found
