"""A cohort that was learned: its sections, what they have in common, and each of them in the common space."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from anndata import AnnData

from efnst.embedding.diffusion import diffuse
from efnst.embedding.image_features import ImageFeatures, image_features
from efnst.embedding.learn import BASELINE_DIFFUSION
from efnst.embedding.options import EmbeddingOptions, TrainingOptions
from efnst.embedding.part import Part, part_of
from efnst.embedding.space import Components, Space
from efnst.errors import EfnstError
from efnst.genes.shared import SharedGenes
from efnst.inputs.hdf5 import read_own
from efnst.program.arrays import read_arrays
from efnst.records.arrays import FEATURES_NPZ


@dataclass(frozen=True)
class Member:
    """A section of a cohort: its name, what it is corrected as, and its files."""

    sample: str
    batch: str
    section: Path
    features: Path | None

    def read(self) -> tuple[AnnData, ImageFeatures | None]:
        """The section and its image features, where it has any."""
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

    def part(self, section: AnnData, features: ImageFeatures | None, batch: str) -> Part:
        """A section with all its units."""
        return part_of(section, features, batch, self.genes, self.options)

    def arrays(self, part: Part) -> dict[str, np.ndarray]:
        """The arrays of embedding.npz of a section."""
        expression = self.components.of(part)
        smooth = diffuse(expression, part.nearest_graph, BASELINE_DIFFUSION, part.precision)
        found = {f"embedding_{n}": space.of(part, self.options, self.training) for n, space in enumerate(self.spaces)}
        found |= {"expression": expression, "diffused": smooth}
        image = self.spaces[0].image
        if image is not None:
            found["image_pcs"] = image.of(part, self.spaces[0].expression.of(part))
            if image.fusion is not None:
                found["fused"] = image.fusion.of(found["image_pcs"]) * np.float32(self.options.image_weight)
        endless = [name for name, values in found.items() if not np.isfinite(values).all()]
        if endless:
            raise EfnstError(
                f"Expected finite numbers in the common space, found others in {endless[0]}: what sections share, or "
                "the features of this one, are not what they should be. Make them again."
            )
        return found


def embedded(
    learned: Learned, members: Sequence[Member]
) -> Iterator[tuple[Member, np.ndarray, bool, dict[str, np.ndarray]]]:
    """Each section in the common space, one after the other: barcodes, whether it has an image, embedding.npz."""
    for member in members:
        section, features = member.read()
        part = learned.part(section, features, member.batch)
        yield member, section.obs_names.to_numpy(), part.image is not None, learned.arrays(part)
