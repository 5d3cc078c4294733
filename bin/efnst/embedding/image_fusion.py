"""Late fusion: which image components stand beside the expression, and how much they weigh."""

from dataclasses import dataclass

import numpy as np
from anndata import AnnData
from scipy import sparse

from efnst.genes.expression import gene_morans_i
from efnst.geometry.neighbours import graph_of_pairs, pairs_between
from efnst.names import SECTION
from efnst.records.encoder import FINE_PX

LAG_PITCHES = 1.3  # width of the ring around a patch in which an image component must still be alike
FUSED_COMPONENTS = 10  # image components that late fusion takes at most
LEAST_STRUCTURE = 0.1  # Moran's I below which an image component is left out of late fusion


def shows_texture(section: AnnData, patch_um: float) -> bool:
    """Whether a patch has enough pixels (32) for its features to tell tissue from tissue.

    A patch of a lowres image is about 15 px wide. Its features still say which spots are alike, but their largest
    differences are those of brightness, and where they were fused they cost more than they brought (docs/method.md).
    """
    return patch_px(section, patch_um) >= FINE_PX


def patch_px(section: AnnData, patch_um: float) -> float:
    """How many pixels of its image a patch is wide."""
    facts = section.uns[SECTION]
    return patch_um * float(facts["image"]["scale"]) / float(facts["um_per_px"])


@dataclass(frozen=True)
class Fusion:
    """Image components that are fused: which columns, their standard deviation and their Moran's I."""

    columns: np.ndarray
    deviation: np.ndarray
    structure: np.ndarray

    def of(self, image: np.ndarray) -> np.ndarray:
        """These components of `image` [n_spots, n_pcs], standard deviation 1 times Moran's I, float32 [n_spots, ·]."""
        return (image[:, self.columns] / self.deviation * self.structure).astype(np.float32)


def structured_components(image: np.ndarray, positions: np.ndarray, pitch: float, patch: float) -> Fusion:
    """The image components [n_spots, ·] with spatial structure, at most 10.

    Patches of neighbouring spots share pixels and are alike whatever they show. So Moran's I is taken over pairs that
    lie farther apart than a patch is wide, by at most 1.3 pitches. `pitch` and `patch` are in the units of `positions`.
    """
    pairs = pairs_between(positions, patch, patch + LAG_PITCHES * pitch)
    structure = gene_morans_i(sparse.csc_array(image.astype(np.float64)), graph_of_pairs(pairs, len(image)))
    best = np.argsort(-structure, kind="stable")[:FUSED_COMPONENTS]
    best = best[structure[best] > LEAST_STRUCTURE]
    return Fusion(best, image[:, best].std(0), structure[best])
