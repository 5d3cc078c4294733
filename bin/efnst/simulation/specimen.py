"""A simulated section as a whole, before microscope and sequencer: regions, counts and what its image shows."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from efnst.errors import EfnstError
from efnst.simulation.counts import (
    gene_names,
    mixed_shares,
    region_shares,
    separate_programmes,
    simulate_counts,
    simulate_programmes,
)
from efnst.simulation.regions import LAYOUTS, SOURCES, Tissue, simulate_tissue
from efnst.simulation.stained_image import (
    Appearance,
    separate_stain,
    simulate_appearance,
    simulate_frame,
    simulate_stain,
)


@dataclass(frozen=True)
class Specimen:
    """A section before microscope and sequencer: `counts` int32 CSR [n_spots in tissue, G], in grid order.

    `separated_by`: the source that alone tells `tissue.pair` apart, where that was asked for.
    """

    tissue: Tissue
    appearance: Appearance
    counts: sparse.csr_matrix
    separated_by: str | None = None


@dataclass(frozen=True)
class Recipe:
    """How large and how difficult a section is; `n_regions` None takes the layout's own number.

    `separated_by`, one of SOURCES, makes a section in which one pair of neighbouring large regions (`Tissue.pair`)
    differs in one thing only: `image`, its stain and nuclei; `expression`, its programme; `space`, the proportions of
    two kinds of spots that both regions are made of. The other regions differ in image and expression as always;
    gradients of expression and drift of the stain, which would tell any two places apart, are left out.
    """

    n_spots: int = 1800
    n_genes: int = 2000
    n_regions: int | None = None
    median_counts: float = 4500.0
    contrast: float = 1.0
    um_per_px: float = 0.5  # of the full-resolution image
    separated_by: str | None = None


def simulate_specimen(layout: str, recipe: Recipe, kind: np.random.Generator, rng: np.random.Generator) -> Specimen:
    """A section whose programmes and stain come from `kind`, and everything else from `rng`.

    Two specimens of one `kind` are the same kind of tissue in different shapes.
    """
    source = recipe.separated_by
    if source not in (None, *SOURCES):
        raise EfnstError(f"Expected regions separated by one of {', '.join(SOURCES)}, found `{source}`.")
    n_regions = recipe.n_regions or LAYOUTS[layout]
    tissue = simulate_tissue(recipe.n_spots, layout, n_regions, rng, with_pair=source is not None)
    programmes = simulate_programmes(recipe.n_genes, n_regions, kind, recipe.contrast)
    stain = simulate_stain(n_regions, kind)
    if source:
        programmes = separate_programmes(programmes, tissue.pair, source)
        stain = separate_stain(stain, tissue.pair, source)
    shares = mixed_shares(tissue, rng) if source == "space" else region_shares(tissue)
    counts = simulate_counts(tissue, programmes, recipe.median_counts, rng, shares=shares)
    return Specimen(tissue, simulate_appearance(tissue, stain, simulate_frame(tissue, rng), rng), counts, source)


def simulate_expression(
    n_spots: int, n_genes: int, n_regions: int, seed: int, layout: str = "mixed", median_counts: float = 4500.0
) -> tuple[np.ndarray, np.ndarray, sparse.csr_matrix]:
    """A section without image and files, for tests of scale.

    Returns positions in µm, float64 [n_spots, 2]; names of the regions [n_spots]; counts, int32 CSR [n_spots, n_genes].
    """
    rng = np.random.default_rng(seed)
    gene_names(n_genes)  # refuses too few genes
    tissue = simulate_tissue(n_spots, layout, n_regions, rng)
    counts = simulate_counts(tissue, simulate_programmes(n_genes, n_regions, rng), median_counts, rng)
    labels = np.array(tissue.region_names)[tissue.spot_region[tissue.in_tissue]]
    return tissue.grid.positions_um[tissue.in_tissue], labels, counts
