"""A few spots of every section in the embedding that all of them share."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from efnst.domains.layout import LEAST_SPOTS, sampled, umap_layout
from efnst.program.arrays import stored_arrays
from efnst.records.arrays import EMBEDDING_SAMPLE_NPZ

POINTS = 4000  # in all; of a section at most those of its file


@dataclass(frozen=True)
class SharedSpots:
    """Spots of several sections: sample and domain, text [n_points], and embedding, float32 [n_points, n_dims]."""

    samples: np.ndarray
    domains: np.ndarray
    embedding: np.ndarray

    def layout(self, seed: int) -> np.ndarray:
        """UMAP, float32 [n_points, 2]."""
        return umap_layout(self.embedding, seed)


def read_shared_spots(paths: Mapping[str, Path], seed: int = 0) -> SharedSpots | None:
    """Spots of embedding_sample.npz, by sample, as many of each, `POINTS` in all; None where there are hardly any.

    The embedding must be one that all sections share.
    """
    of_each = -(-POINTS // max(len(paths), 1))
    samples, domains, embeddings = [], [], []
    for sample, path in paths.items():
        arrays = stored_arrays(path, EMBEDDING_SAMPLE_NPZ)
        drawn = sampled(len(arrays["domain"]), of_each, seed)
        samples += [sample] * len(drawn)
        domains.append(arrays["domain"][drawn])
        embeddings.append(arrays["embedding"][drawn])
    if len(samples) < LEAST_SPOTS:
        return None
    return SharedSpots(np.array(samples), np.concatenate(domains), np.vstack(embeddings))
