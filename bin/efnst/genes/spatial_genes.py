"""Spatially variable genes: Moran's I over touching spots."""

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.stats import false_discovery_control, norm

from efnst.genes.expression import gene_morans_i
from efnst.geometry.neighbours import graph_of_pairs, pairs_within

TOUCHING = 1.5  # pitches: 6 neighbours on a hexagonal grid (the next ring is at 1.73), 8 on a square one
LEAST_VARIANCE = 1e-9  # of Moran's I, in squares of its expectation; below it is rounding
COLUMNS = ["gene", "morans_i", "p_value", "p_adjusted"]


def touching_spots(spatial: np.ndarray, pitch_px: float) -> sp.csr_matrix:
    """Symmetric 0/1 graph of spots that touch: float64 [n_spots, n_spots], no self loops.

    spatial: [n_spots, 2] in pixels; pitch_px: centre-to-centre distance of neighbouring spots.
    """
    pairs = pairs_within(spatial, TOUCHING * pitch_px)
    return sp.csr_matrix(graph_of_pairs(pairs, len(spatial)), dtype=np.float64)


def morans_i_moments(graph: sp.csr_matrix) -> tuple[float, float]:
    """Expectation and variance of Moran's I without spatial structure, under normality (Cliff and Ord 1981)."""
    n = graph.shape[0]
    total = graph.sum()
    both_ways = graph + graph.T
    s1 = both_ways.multiply(both_ways).sum() / 2
    s2 = np.square(np.asarray(graph.sum(axis=1)).ravel() + np.asarray(graph.sum(axis=0)).ravel()).sum()
    expected = -1 / (n - 1)
    variance = (n**2 * s1 - n * s2 + 3 * total**2) / ((n**2 - 1) * total**2) - expected**2
    return expected, float(variance)


def rank_spatial_genes(expression: sp.csc_matrix, genes: np.ndarray, graph: sp.csr_matrix) -> pd.DataFrame:
    """All genes by falling Moran's I, with one-sided p values (more alike than by chance), Benjamini-Hochberg adjusted.

    expression: log1p-normalised [n_spots, n_genes]; genes: names [n_genes]; graph: touching spots. The p values take I
    as normal; for genes seen in few spots of a small section they come out too small, so use them with the rank. They
    are 1 where I cannot vary: without spots that touch, or where all of a few touch all others.
    """
    statistic = gene_morans_i(expression, graph)
    expected, variance = morans_i_moments(graph) if graph.nnz else (0, 0)
    if len(genes) and variance > LEAST_VARIANCE * expected**2:
        p_value = norm.sf((statistic - expected) / np.sqrt(variance))
        p_adjusted = false_discovery_control(p_value)
    else:
        p_value = p_adjusted = np.ones(len(genes))
    table = pd.DataFrame(dict(zip(COLUMNS, [genes, statistic, p_value, p_adjusted], strict=True)))
    return table.sort_values("morans_i", ascending=False, kind="stable", ignore_index=True)
