"""How far domains go over into each other in the embedding: PAGA (Wolf 2019)."""

import numpy as np
import pandas as pd
from anndata import AnnData

from efnst.domains.layout import LEAST_SPOTS, N_NEIGHBOURS
from efnst.names import DOMAIN


def paga_connectivity(embedding: np.ndarray, domains: pd.Categorical) -> np.ndarray | None:
    """Connectivity of each two domains, float64 [n_domains, n_domains], symmetric with an empty diagonal.

    embedding: float [n_spots, n_dims]. 0: no neighbours in the embedding lie in both; 1: as many as if spots were
    joined at random. None where there are too few spots, or a single domain.
    """
    import scanpy  # takes seconds
    from sklearn.neighbors import kneighbors_graph

    n_spots = len(embedding)
    if n_spots < LEAST_SPOTS or (np.bincount(domains.codes, minlength=2) > 0).sum() < 2:
        return None
    data = AnnData(obs=pd.DataFrame({DOMAIN: domains}, index=[str(spot) for spot in range(n_spots)]))
    graph = kneighbors_graph(embedding, min(N_NEIGHBOURS, n_spots - 1), mode="distance")
    data.obsp["distances"] = data.obsp["connectivities"] = graph  # PAGA reads which spots are neighbours, no weights
    data.uns["neighbors"] = {"distances_key": "distances", "connectivities_key": "connectivities"}
    data.uns["neighbors"]["params"] = {"n_neighbors": N_NEIGHBOURS, "method": "umap"}
    scanpy.tl.paga(data, groups=DOMAIN)
    return np.asarray(data.uns["paga"]["connectivities"].todense(), dtype=np.float64)
