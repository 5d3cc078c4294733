"""Patches drawn at random from a whole cohort."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from efnst.encoder.features import Prepare, patch_datasets
from efnst.inputs.hdf5 import opened


def sample_patches(sections: Iterable[tuple[Path, Prepare | None]], n: int, seed: int) -> list[np.ndarray]:
    """At most `n` different patches, uint8 [1, px, px, 3] each, in random order.

    `sections` are the patches.h5 of each and what makes its patches ready for the encoder. All sections and scales give
    the same number, or all they have.
    """
    random = np.random.default_rng(seed)
    patches = []
    with ExitStack() as files:
        held = [(files.enter_context(opened(path)), prepare) for path, prepare in sections]
        datasets = [(dataset, prepare) for file, prepare in held for dataset in patch_datasets(file)]
        share = -(-n // max(1, len(datasets)))
        drawn = [
            (dataset, row, prepare) for dataset, prepare in datasets for row in random.permutation(len(dataset))[:share]
        ]
        for number in random.permutation(len(drawn))[:n]:
            dataset, row, prepare = drawn[number]
            patch = dataset[row : row + 1]
            patches.append(prepare(patch) if prepare else patch)
    return patches
