"""The learning step for several sections: one space, fitted to a balanced sample, that each section is brought into."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from anndata import AnnData

from efnst.embedding.diffusion import diffuse
from efnst.embedding.image_features import ImageFeatures, image_features
from efnst.embedding.learn import BASELINE_DIFFUSION, record_of, run_at_once
from efnst.embedding.options import CohortOptions, EmbeddingOptions, TrainingOptions
from efnst.embedding.part import Part, part_of, pooled
from efnst.embedding.prepare import FEWEST_SPOTS
from efnst.embedding.sketch import quota
from efnst.embedding.space import Components, Space, fit_components, fit_space
from efnst.errors import EfnstError
from efnst.genes.shared import SharedGenes, Survey
from efnst.inputs.hdf5 import read_own
from efnst.program.arrays import read_arrays
from efnst.records.arrays import FEATURES_NPZ

LEARNED_UNITS = 15_000  # of all sections together


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
        if image is None:
            return found
        found["image_pcs"] = image.of(part, self.spaces[0].expression.of(part))
        if image.fusion is not None:
            found["fused"] = image.fusion.of(found["image_pcs"]) * np.float32(self.options.image_weight)
        return found


def survey(members: Sequence[Member], options: EmbeddingOptions) -> tuple[Survey, dict[str, int], dict[str, str]]:
    """The genes of all sections, their numbers of units, and what is wrong with those that cannot be learned from."""
    found, sizes, problems = Survey(), {}, {}
    for member in members:
        try:
            section, _ = member.read()
            if section.n_obs < FEWEST_SPOTS:
                raise EfnstError(f"Expected at least {FEWEST_SPOTS} spots to learn from, found {section.n_obs}.")
            found.add(section, options.min_spots_per_gene)
            sizes[member.sample] = section.n_obs
        except EfnstError as error:
            problems[member.sample] = str(error)
    if not sizes:
        raise EfnstError(
            f"Expected sections to learn from, found that none can be used. {'; '.join(problems.values())}"
        )
    return found, sizes, problems


def learn_cohort(
    members: Sequence[Member],
    options: EmbeddingOptions,
    training: TrainingOptions,
    cohort: CohortOptions,
    device: torch.device,
    threads: int = 1,
) -> tuple[Learned, dict, dict[str, str]]:
    """What the sections have in common, the record of training.json, and why some sections cannot be used.

    Sections are read one after the other, and learned from is a balanced sample of whole tiles with at most
    `LEARNED_UNITS` units, so that memory does not grow with their number.
    """
    if options.expression_rep:
        raise EfnstError("Expected scope section or no expression_rep, found both scope cohort and expression_rep.")
    found, sizes, problems = survey(members, options)
    genes = found.chosen(options.n_genes, cohort.shared_genes)
    most = max(quota(list(sizes.values()), LEARNED_UNITS), FEWEST_SPOTS)
    used = [member for member in members if member.sample in sizes]
    pool = pooled([part_of(*member.read(), member.batch, genes, options, most) for member in used])
    components = fit_components(pool, np.arange(len(genes.ids)), options.expression_pcs, training.seed)
    seeds = np.random.SeedSequence(training.seed).generate_state(training.n_seeds)
    trainings = [replace(training, seed=int(seed)) for seed in seeds]
    runs = run_at_once(fit_one, trainings, (pool, len(genes.ids), options, device), device, threads)
    spaces, records = [space for space, _ in runs], [record for _, record in runs]
    record = record_of(records, len(genes.ids), options, training)
    return Learned(genes, components, spaces, options, training), record, problems


def fit_one(
    training: TrainingOptions, pool: Part, n_genes: int, options: EmbeddingOptions, device: torch.device
) -> tuple[Space, dict]:
    """One training."""
    return fit_space(pool, n_genes, options, training, device)


def embedded(
    learned: Learned, members: Sequence[Member]
) -> Iterator[tuple[Member, np.ndarray, bool, dict[str, np.ndarray]]]:
    """Each section in the common space, one after the other: barcodes, whether it has an image, embedding.npz."""
    for member in members:
        section, features = member.read()
        part = learned.part(section, features, member.batch)
        yield member, section.obs_names.to_numpy(), part.image is not None, learned.arrays(part)
