"""Views of a section: what each training sees of it."""

from dataclasses import replace

import numpy as np

from efnst.embedding.options import EmbeddingOptions

GENE_SHARES = (1 / 3, 2 / 3, 1)  # of n_genes; a view draws one of each of these three
PC_SHARES = (1 / 2, 2 / 3, 1)  # of expression_pcs
DIFFUSION_FACTORS = (1, 2, 4)


def view_of(options: EmbeddingOptions, seed: int) -> EmbeddingOptions:
    """The options of one training: with `vary_views`, numbers of genes and components and the diffusion are drawn.

    Trainings that see the section differently err differently, so that their consensus errs less.
    """
    if not options.vary_views:
        return options
    draw = np.random.default_rng(seed)
    return replace(
        options,
        n_genes=max(2, round(options.n_genes * draw.choice(GENE_SHARES))),
        expression_pcs=max(1, round(options.expression_pcs * draw.choice(PC_SHARES))),
        diffusion=float(options.diffusion * draw.choice(DIFFUSION_FACTORS)),
    )
