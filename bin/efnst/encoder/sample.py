"""Patches drawn at random from a whole cohort."""

from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

from efnst.encoder.features import Prepare, patch_datasets


def sample_patches(sections: Iterable[tuple[Path, Prepare | None]], n: int, seed: int) -> list[np.ndarray]:
    """At most `n` different patches, uint8 [1, px, px, 3] each, in random order.

    `sections` are the patches.h5 of each and what makes its patches ready for the encoder. All sections and scales give
    the same number, or all they have.
    """
    random = np.random.default_rng(seed)
    files = [(h5py.File(path), prepare) for path, prepare in sections]
    datasets = [(dataset, prepare) for file, prepare in files for dataset in patch_datasets(file)]
    share = -(-n // max(1, len(datasets)))
    drawn = [
        (dataset, row, prepare) for dataset, prepare in datasets for row in random.permutation(len(dataset))[:share]
    ]
    patches = []
    for number in random.permutation(len(drawn))[:n]:
        dataset, row, prepare = drawn[number]
        patch = dataset[row : row + 1]
        patches.append(prepare(patch) if prepare else patch)
    for file, _ in files:
        file.close()
    return patches
