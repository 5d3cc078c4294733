"""The learning step: one space, fitted to a balanced sample of all sections, be it one or many."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from efnst.embedding.at_once import run_at_once
from efnst.embedding.cohort import Learned, Member
from efnst.embedding.options import CohortOptions, EmbeddingOptions, TrainingOptions
from efnst.embedding.part import Part, part_of, pooled
from efnst.embedding.reference import FEWEST_SPOTS
from efnst.embedding.sketch import enough, quota
from efnst.embedding.space import fit_components, fit_image, fit_space
from efnst.embedding.together import Together, together
from efnst.geometry.units import MANY_UNITS
from efnst.program.options import given_values

LEARNED_UNITS = MANY_UNITS  # of all sections together


@dataclass(frozen=True)
class Outcome:
    """What was learned of `members`, the record of training.json, and which of the sections given go together.

    `own` are the arrays of embedding.npz of a section that all of it was learned from, by itself: they are at hand.
    """

    learned: Learned
    record: dict
    together: Together
    members: Sequence[Member]
    own: dict[str, np.ndarray] | None

    def sections(
        self, device: torch.device, threads: int = 1
    ) -> Iterator[tuple[Member, np.ndarray, bool, dict[str, np.ndarray]]]:
        """Each section, one after the other: barcodes, whether its image is used, the arrays of embedding.npz."""
        uses_images = self.learned.spaces[0].image is not None
        for member in self.members:
            section, features = member.read()
            arrays = self.own
            if arrays is None:
                part = self.learned.part(section, features, member.batch)
                arrays = self.learned.arrays(part, device, threads)
            yield member, section.obs_names.to_numpy(), uses_images and features is not None, arrays


def learn(
    members: Sequence[Member],
    options: EmbeddingOptions,
    training: TrainingOptions,
    cohort: CohortOptions,
    device: torch.device,
    threads: int = 1,
) -> Outcome:
    """What the sections have in common, and each of them in it.

    A section by itself is a cohort of one. Several are read one after the other, and learned from is a balanced sample
    of whole tiles with at most `LEARNED_UNITS` units, so that memory does not grow with their number. The network is
    trained `training.n_seeds` times, with seeds that follow from `training.seed`; on the CPU several trainings run at
    once, one per thread.
    """
    if len(members) == 1:
        members = [members[0].in_memory()]
    found = together(members, options, cohort)
    members = [member for member in members if member.sample in found.sizes]
    pool, n_genes = _sample(members, found, options), len(found.genes.ids)
    components, expression = fit_components(pool, np.arange(n_genes), options.expression_pcs, training.seed)
    image = fit_image(pool, options, training.seed)
    seeds = np.random.SeedSequence(training.seed).generate_state(training.n_seeds)
    trainings = [replace(training, seed=int(seed)) for seed in seeds]
    runs = run_at_once(fit_space, trainings, (pool, n_genes, image, options, device), device, threads)
    spaces, records, embeddings = zip(*runs, strict=True)
    learned = Learned(found.genes, components, list(spaces), options, training)
    is_whole = [len(pool.seen)] == list(found.sizes.values())
    own = learned.named(pool, expression, embeddings) if is_whole else None
    return Outcome(learned, _record(records, n_genes, options, training), found, members, own)


def _sample(members: Sequence[Member], found: Together, options: EmbeddingOptions) -> Part:
    """What is learned from: whole tiles of each section, side by side."""
    sizes = [enough(size) for size in found.sizes.values()]
    most, parts = max(quota(sizes, LEARNED_UNITS), FEWEST_SPOTS), []
    for member in members:
        section, features = member.read()
        n_units = min(most, enough(section.n_obs))
        parts.append(part_of(section, features, member.batch, found.genes, options, n_units))
    return pooled(parts)


def _record(records: Sequence[dict], n_genes: int, options: EmbeddingOptions, training: TrainingOptions) -> dict:
    """What training.json says of trainings with these `records` on so many genes."""
    parameters = given_values(options, training.network, training)
    del parameters["network"]
    return {
        "seed": training.seed,
        "epochs": max(record["epochs"] for record in records),
        "seconds": round(sum(record["seconds"] for record in records), 3),
        "n_genes_used": n_genes,
        "n_spots_without_neighbours": records[0]["n_spots_without_neighbours"],
        "loss": records[0]["loss"],
        "runs": [{key: value for key, value in record.items() if key != "loss"} for record in records],
        "parameters": parameters,
    }
