"""The learning step on a section in memory."""

from pathlib import Path

import torch
from anndata import AnnData

from efnst.embedding.cohort import Member
from efnst.embedding.image_features import ImageFeatures
from efnst.embedding.learn import Outcome, learn
from efnst.embedding.options import CohortOptions, EmbeddingOptions, TrainingOptions

CPU = torch.device("cpu")


def learned_alone(
    section: AnnData,
    features: ImageFeatures | None,
    options: EmbeddingOptions,
    training: TrainingOptions,
    threads: int = 1,
) -> tuple[dict, bool, Outcome]:
    """The arrays of embedding.npz of a section by itself, whether its image is used, and all that was learned."""
    member = Member("S", "", Path(), None, held=(section, features))
    found = learn([member], options, training, CohortOptions(), CPU, threads)
    ((_, _, has_image, arrays),) = found.sections(CPU, threads)
    return arrays, has_image, found
