"""Where patches are cut: around each spot, or on a lattice over units that lie closer than patches are wide."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from efnst.errors import EfnstError
from efnst.geometry.lattice import lattice_over

LATTICE_UM = 56  # between patches of 190 µm, so that each place is seen by some ten of them
SPOT_UM = 190  # around each spot, which takes in the first ring of its neighbours
RING = 6  # patches around the one in the centre


@dataclass(frozen=True)
class Places:
    """The centres of patches, `positions` float64 [n_patches, 2] in full-resolution px, for the spots `barcodes`.

    `weights` [n_spots, n_patches] tell what lies between patches; None where each spot has a patch of its own. Of a
    ring, `ring_um` around each place, the patches follow the one in the centre, `n_each` of them in all.
    """

    barcodes: np.ndarray
    positions: np.ndarray
    weights: sparse.csr_array | None
    n_each: int = 1
    ring_um: float = 0.0


def places_of_patches(barcodes: np.ndarray, positions: np.ndarray, facts: dict) -> Places:
    """The places for a section's spots at `positions` [n_spots, 2] in full-resolution px; `facts`: uns["section"]."""
    if "unit_um" in facts:
        nodes, weights = lattice_over(positions, LATTICE_UM / float(facts["um_per_px"]))
        if len(nodes) < len(positions):
            return Places(barcodes, nodes, weights)
    return Places(barcodes, positions, None)


def places_about(facts: dict, n_spots: int) -> int:
    """About how many places a section's spots or bins have patches at; `facts`: uns["section"]."""
    bin_um = facts["bin_um"] if isinstance(facts["bin_um"], int | float) else 0
    return -(-n_spots * int(bin_um) ** 2 // LATTICE_UM**2) if 0 < bin_um < LATTICE_UM else n_spots


def with_ring(places: Places, widest_um: float, um_per_px: float) -> Places:
    """The places with six more around each of them, so far out that all patches together are as wide as `SPOT_UM`.

    `widest_um` is the width of the widest window, `um_per_px` the scale of the positions.
    """
    ring_um = (SPOT_UM - widest_um) / 2
    if ring_um <= 0:
        raise EfnstError(
            f"Expected windows narrower than {SPOT_UM} µm for --patches_per_spot {RING + 1}, found {widest_um:g} µm, "
            "which take in the neighbouring spots already. Choose --patches_per_spot 1."
        )
    angles = np.arange(RING) * 2 * np.pi / RING
    around = np.column_stack([np.cos(angles), np.sin(angles)]) * ring_um / um_per_px
    offsets = np.vstack([np.zeros(2), around])
    positions = (places.positions[:, None] + offsets).reshape(-1, 2)
    return replace(places, positions=positions, n_each=len(offsets), ring_um=ring_um)
