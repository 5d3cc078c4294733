"""The domains of a cohort as a plain folder: vocabulary.json and vocabulary.safetensors."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from efnst.domains.candidates import DRAWN, CommonViews
from efnst.domains.vocabulary import Mixture, Vocabulary
from efnst.errors import EfnstError, reading
from efnst.program.tensors import Axes, read_tensors, require_positive, write_tensors
from efnst.records.base import read_record, write_record
from efnst.records.vocabulary import VocabularyRecord

FORMAT = 4
RECORD, ARRAYS = "vocabulary.json", "vocabulary.safetensors"
PARTS = ("shares", "means", "root", "numbers")


def save_vocabulary(folder: Path, vocabulary: Vocabulary, choice: dict) -> None:
    """Write the record and the arrays `known` and, of each training and view from 0, `mixtures.0.shares` and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    record = VocabularyRecord(
        format=FORMAT,
        n_domains=vocabulary.n_domains,
        n_trainings=vocabulary.n_trainings,
        shown=vocabulary.shown,
        n_views=len(vocabulary.mixtures) - vocabulary.n_trainings,
        spatial_prior=vocabulary.spatial_prior,
        how=vocabulary.how,
        **({} if vocabulary.views is None else {"views": asdict(vocabulary.views)}),
        **({"choice": choice} if choice else {}),
    )
    arrays = {
        f"mixtures.{number}.{part}": getattr(mixture, part)
        for number, mixture in enumerate(vocabulary.mixtures)
        for part in PARTS
    }
    write_tensors(folder / ARRAYS, arrays | {"known": vocabulary.known})
    write_record(folder / RECORD, record)


def load_vocabulary(folder: Path) -> tuple[Vocabulary, VocabularyRecord]:
    """What `save_vocabulary` wrote, and its record."""
    record = read_record(folder / RECORD, VocabularyRecord)
    if record.format != FORMAT:
        raise EfnstError(f"Expected domains of format {FORMAT}, found {record.format} in `{folder.name}`.")
    views = None if record.views is None else CommonViews(**record.views.plain())
    n_views = 0 if views is None else len(DRAWN)
    if record.n_views != n_views:
        raise EfnstError(f"Expected {n_views} views in {RECORD} of `{folder.name}`, found {record.n_views}.")
    if record.shown >= record.n_trainings:
        raise EfnstError(
            f"Expected one of the {record.n_trainings} trainings, from 0, to be shown in {RECORD} of `{folder.name}`, "
            f"found {record.shown}. Copy the whole folder again."
        )
    arrays = read_tensors(folder / ARRAYS)
    with reading(folder / ARRAYS):
        mixtures = [
            Mixture(*(arrays[f"mixtures.{number}.{part}"] for part in PARTS))
            for number in range(record.n_trainings + n_views)
        ]
        known = arrays["known"]
        _require_fitting(mixtures, known, record.n_domains)
    vocabulary = Vocabulary(
        n_domains=record.n_domains,
        n_trainings=record.n_trainings,
        shown=record.shown,
        mixtures=mixtures,
        known=known,
        spatial_prior=record.spatial_prior,
        how=record.how,
        views=views,
    )
    return vocabulary, record


def _require_fitting(mixtures: list[Mixture], known: np.ndarray, n_domains: int) -> None:
    """Raise ValueError unless the arrays of each mixture fit together, and all have components for `n_domains`."""
    Axes().require("known", known, "units")
    for number, mixture in enumerate(mixtures):
        axes, name = Axes(), f"mixtures.{number}"
        axes.require(f"{name}.means", mixture.means, "components", "dimensions")
        axes.require(f"{name}.root", mixture.root, "dimensions", "dimensions")
        axes.require(f"{name}.shares", mixture.shares, "components")
        axes.require_places(f"{name}.numbers", mixture.numbers, "components", n_domains, start=-1)
        require_positive(f"{name}.root", *mixture.root.diagonal().tolist())
        if n_domains > len(mixture.shares) or (mixture.shares < 0).any():
            raise ValueError(f"{name} has negative shares, or fewer components than there are domains")
