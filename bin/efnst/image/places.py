"""Where patches are cut: around each spot, or on a lattice over units that lie closer than patches are wide."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from efnst.geometry.lattice import lattice_over

LATTICE_UM = 56  # between patches of 190 µm, so that each place is seen by some ten of them


@dataclass(frozen=True)
class Places:
    """The centres of patches, `positions` float64 [n_patches, 2] in full-resolution px, for the spots `barcodes`.

    `weights` [n_spots, n_patches] tell what lies between patches; None where each spot has a patch of its own.
    """

    barcodes: np.ndarray
    positions: np.ndarray
    weights: sparse.csr_array | None


def places_of_patches(barcodes: np.ndarray, positions: np.ndarray, facts: dict) -> Places:
    """The places for a section's spots at `positions` [n_spots, 2] in full-resolution px; `facts`: uns["section"]."""
    if "unit_um" in facts:
        nodes, weights = lattice_over(positions, LATTICE_UM / float(facts["um_per_px"]))
        if len(nodes) < len(positions):
            return Places(barcodes, nodes, weights)
    return Places(barcodes, positions, None)
