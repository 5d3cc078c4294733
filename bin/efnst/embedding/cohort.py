"""Sections that are learned from, what they have in common, and each of them in the common space."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from anndata import AnnData

from efnst.embedding.at_once import run_at_once
from efnst.embedding.diffusion import diffuse
from efnst.embedding.gated import CPU
from efnst.embedding.image_features import ImageFeatures, image_features
from efnst.embedding.options import EmbeddingOptions, TrainingOptions
from efnst.embedding.part import Part, part_of
from efnst.embedding.reproducible import reproducible_torch
from efnst.embedding.space import Components, Space
from efnst.errors import EfnstError
from efnst.genes.shared import SharedGenes
from efnst.geometry.units import MANY_UNITS
from efnst.inputs.hdf5 import opened_own, read_own
from efnst.program.arrays import read_arrays
from efnst.records.arrays import FEATURES_NPZ

BASELINE_DIFFUSION = 0.5


@dataclass(frozen=True)
class Member:
    """A section that is learned from: its name, what it is corrected as, and its files, or what was read of them."""

    sample: str
    batch: str
    section: Path
    features: Path | None
    held: tuple[AnnData, ImageFeatures | None] | None = None

    def in_memory(self) -> "Member":
        """The same, read once and for all."""
        return replace(self, held=self.read())

    @contextmanager
    def opened(self) -> Iterator[AnnData]:
        """The section, of which only what is asked for is read."""
        if self.held is not None:
            yield self.held[0]
        else:
            with opened_own(self.section) as section:
                yield section

    def read(self) -> tuple[AnnData, ImageFeatures | None]:
        """The section and its image features, where it has any."""
        if self.held is not None:
            return self.held
        section = read_own(self.section)
        if self.features is None:
            return section, None
        arrays = read_arrays(self.features, FEATURES_NPZ, section.obs_names.to_numpy())
        return section, image_features(arrays, section.n_obs)


@dataclass(frozen=True)
class Learned:
    """What a cohort has in common: genes, spaces of all trainings, and the components of the baselines."""

    genes: SharedGenes
    components: Components
    spaces: list[Space]
    options: EmbeddingOptions
    training: TrainingOptions

    @property
    def n_fused(self) -> int:
        """Image components that the first network reads."""
        image = self.spaces[0].image
        return 0 if image is None or image.fusion is None else len(image.fusion.columns)

    @property
    def is_corrected(self) -> bool:
        """Whether differences between its own sections are taken out: there are several batches."""
        return self.components.correction is not None and len(self.components.correction.batches) > 1

    def part(self, section: AnnData, features: ImageFeatures | None, batch: str) -> Part:
        """A section with all its units."""
        return part_of(section, features, batch, self.genes, self.options)

    def arrays(self, part: Part, device: torch.device = CPU, threads: int = 1) -> dict[str, np.ndarray]:
        """The arrays of embedding.npz of a section; those of a large one are made with several `threads`."""
        at_once = threads if len(part.seen) > MANY_UNITS else 1
        embeddings = run_at_once(_embedding, self.spaces, (part, self.options, self.training, device), device, at_once)
        return self.named(part, self.components.of(part), embeddings)

    def named(self, part: Part, expression: np.ndarray, embeddings: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """The same of a section whose components of the baselines and `embeddings` are known."""
        smooth = diffuse(expression, part.nearest_graph, BASELINE_DIFFUSION)
        found = {f"embedding_{number}": values for number, values in enumerate(embeddings)}
        found |= {"expression": expression, "diffused": smooth}
        image = self.spaces[0].image
        if image is not None:
            told = None if part.seen.all() else self.spaces[0].expression.of(part)
            found["image_pcs"] = image.of(part, told)
            if image.fusion is not None:
                found["fused"] = image.fusion.of(found["image_pcs"]) * np.float32(self.options.image_weight)
        endless = [name for name, values in found.items() if not np.isfinite(values).all()]
        if endless:
            raise EfnstError(
                f"Expected finite numbers in the common space, found others in {endless[0]}: what sections share, or "
                "the features of this one, are not what they should be. Make them again."
            )
        return found


def _embedding(
    space: Space, part: Part, options: EmbeddingOptions, training: TrainingOptions, device: torch.device
) -> np.ndarray:
    """The embedding of one training, on one thread."""
    with reproducible_torch(1, 0):
        return space.of(part, options, training, device)
