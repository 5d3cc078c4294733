"""Views of a section: what each training sees of it."""

from typing import NamedTuple

import numpy as np

from efnst.embedding.options import EmbeddingOptions

GENE_SHARES = (1 / 3, 2 / 3, 1)  # of n_genes; a view draws one of each of these three
PC_SHARES = (1 / 2, 2 / 3, 1)  # of expression_pcs
DIFFUSION_FACTORS = (1, 2, 4)


class View(NamedTuple):
    """What a training takes for `n_genes`, `expression_pcs` and `diffusion`."""

    n_genes: int
    expression_pcs: int
    diffusion: float


def view_of(options: EmbeddingOptions, seed: int) -> View:
    """The view of one training: with `vary_views`, numbers of genes and components and the diffusion are drawn.

    Trainings that see the section differently err differently, so that their consensus errs less.
    """
    if not options.vary_views:
        return View(options.n_genes, options.expression_pcs, options.diffusion)
    draw = np.random.default_rng(seed)
    return View(
        n_genes=max(2, round(options.n_genes * draw.choice(GENE_SHARES))),
        expression_pcs=max(1, round(options.expression_pcs * draw.choice(PC_SHARES))),
        diffusion=float(options.diffusion * draw.choice(DIFFUSION_FACTORS)),
    )
