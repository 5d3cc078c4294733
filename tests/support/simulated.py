"""What several tests read from simulated sections."""

import numpy as np
from scipy.spatial import cKDTree

from efnst.simulation.regions import Tissue


def touching(tissue: Tissue) -> np.ndarray:
    """Pairs of neighbouring spots in tissue, int [n_pairs, 2]."""
    return cKDTree(tissue.grid.positions_um[tissue.in_tissue]).query_pairs(101, output_type="ndarray")
