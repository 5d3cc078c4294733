"""How well sections mix in a common embedding: silhouette by batch and iLISI."""

import numpy as np
import pandas as pd

PERPLEXITY = 30  # of iLISI, as Korsunsky 2019; it looks at three times so many neighbours
LEAST_POINTS = 3 * PERPLEXITY + 1
COLUMNS = ["batch", "n_batches", "silhouette", "ilisi", "ilisi_scaled"]


def mixing_table(embedding: np.ndarray, batches: pd.DataFrame) -> pd.DataFrame:
    """One row for each column of `batches` (text, [n_points]) with at least two values.

    embedding: float [n_points, n_dims]. Silhouette by batch: near 0 or below where batches mix, 1 where they lie apart.
    iLISI: the median number of batches around a point (harmonypy); scaled: from 0, one batch, to 1, all of them.
    """
    rows = [_row(embedding, batches[name]) for name in batches]
    return pd.DataFrame([row for row in rows if row], columns=COLUMNS)


def _row(embedding: np.ndarray, batch: pd.Series) -> dict:
    """The row of one batch variable, empty where it has a single value or too few points are known."""
    from harmonypy.lisi import compute_lisi
    from sklearn.metrics import silhouette_score

    known = batch.notna().to_numpy()
    names = batch[known].astype(str)
    n_batches = names.nunique()
    if n_batches < 2 or known.sum() < max(LEAST_POINTS, n_batches + 1):
        return {}
    space = np.asarray(embedding, dtype=np.float64)[known]
    lisi = compute_lisi(space, pd.DataFrame({"batch": names.to_numpy()}), ["batch"], PERPLEXITY)
    found = float(np.median(lisi))
    row = {"batch": batch.name, "n_batches": n_batches, "silhouette": float(silhouette_score(space, names))}
    return row | {"ilisi": found, "ilisi_scaled": (found - 1) / (n_batches - 1)}
