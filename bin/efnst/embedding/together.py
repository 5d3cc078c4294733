"""The learning step for several sections: which go together, and one space, fitted to a balanced sample of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from efnst.embedding.cohort import Learned, Member
from efnst.embedding.learn import record_of, run_at_once
from efnst.embedding.options import CohortOptions, EmbeddingOptions, TrainingOptions
from efnst.embedding.part import Part, part_of, pooled
from efnst.embedding.prepare import FEWEST_SPOTS
from efnst.embedding.reference import MOST_MISSING, gene_prefix
from efnst.embedding.sketch import quota
from efnst.embedding.space import Space, fit_components, fit_space
from efnst.errors import EfnstError
from efnst.genes.shared import SharedGenes, Survey
from efnst.inputs.hdf5 import opened_own
from efnst.records.reference import MANY_MISSING

LEARNED_UNITS = 15_000  # of all sections together
HALF = 0.5  # of the sections


@dataclass(frozen=True)
class Together:
    """The sections that are learned from, by sample: their numbers of units, what they share, and what they lack.

    `missing`: share of `genes` that a section does not measure; `problems`: why other sections cannot be used.
    """

    genes: SharedGenes
    sizes: dict[str, int]
    missing: dict[str, float]
    problems: dict[str, str]

    @property
    def warnings(self) -> dict[str, list[str]]:
        """What the user should know of each section."""
        text = f"of the {len(self.genes.ids)} genes that the sections of the cohort share are not measured here."
        return {name: [f"{share:.0%} {text}"] if share > MANY_MISSING else [] for name, share in self.missing.items()}


def together(members: Sequence[Member], options: EmbeddingOptions, cohort: CohortOptions) -> Together:
    """Leave out sections of another species, of too few spots or too few of the genes, as if they were not given."""
    problems = _of_other_species(members)
    while True:
        found, sizes, wrong = survey([member for member in members if member.sample not in problems], options)
        problems |= wrong
        if not sizes:
            reasons = "; ".join(problems.values())
            raise EfnstError(f"Expected sections to learn from, found that none can be used. {reasons}")
        try:
            genes, error = found.chosen(options.n_genes, cohort.shared_genes), None
        except EfnstError as raised:  # the genes of half of the sections tell by which of them it is
            genes, error = found.chosen(options.n_genes, min(cohort.shared_genes, HALF)), raised
        missing = {member.sample: _missing(member, genes) for member in members if member.sample in sizes}
        strangers = {
            sample: _few_genes(len(genes.ids), share) for sample, share in missing.items() if share > MOST_MISSING
        }
        if not strangers and error:
            raise error
        if not strangers:
            return Together(genes, sizes, missing, problems)
        problems |= strangers


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
    return found, sizes, problems


def learn_cohort(
    members: Sequence[Member],
    options: EmbeddingOptions,
    training: TrainingOptions,
    cohort: CohortOptions,
    device: torch.device,
    threads: int = 1,
) -> tuple[Learned, dict, Together]:
    """What the sections have in common, the record of training.json, and which sections go together.

    Sections are read one after the other, and learned from is a balanced sample of whole tiles with at most
    `LEARNED_UNITS` units, so that memory does not grow with their number.
    """
    if options.expression_rep:
        raise EfnstError("Expected scope section or no expression_rep, found both scope cohort and expression_rep.")
    found = together(members, options, cohort)
    genes, n_genes = found.genes, len(found.genes.ids)
    most = max(quota(list(found.sizes.values()), LEARNED_UNITS), FEWEST_SPOTS)
    used = [member for member in members if member.sample in found.sizes]
    pool = pooled([part_of(*member.read(), member.batch, genes, options, most) for member in used])
    components = fit_components(pool, np.arange(n_genes), options.expression_pcs, training.seed)
    seeds = np.random.SeedSequence(training.seed).generate_state(training.n_seeds)
    trainings = [replace(training, seed=int(seed)) for seed in seeds]
    runs = run_at_once(fit_one, trainings, (pool, n_genes, options, device), device, threads)
    spaces, records = [space for space, _ in runs], [record for _, record in runs]
    record = record_of(records, n_genes, options, training)
    return Learned(genes, components, spaces, options, training), record, found


def fit_one(
    training: TrainingOptions, pool: Part, n_genes: int, options: EmbeddingOptions, device: torch.device
) -> tuple[Space, dict]:
    """One training."""
    return fit_space(pool, n_genes, options, training, device)


def _of_other_species(members: Sequence[Member]) -> dict[str, str]:
    """What is wrong with sections of another species than most, by sample."""
    prefixes = {member.sample: _prefix(member) for member in members}
    counts = Counter(filter(None, prefixes.values())).most_common()
    if len(counts) > 1 and counts[0][1] == counts[1][1]:
        named = "; ".join(
            f"{prefix}… in {', '.join(s for s in prefixes if prefixes[s] == prefix)}" for prefix, _ in counts
        )
        raise EfnstError(f"Expected sections of one species, found genes {named}. Run each species by itself.")
    return {
        sample: f"Expected genes of the species of most sections ({counts[0][0]}…), found those of another "
        f"({prefix}…). Run it by itself, or with others of its species."
        for sample, prefix in prefixes.items()
        if prefix and prefix != counts[0][0]
    }


def _prefix(member: Member) -> str:
    """What tells a section's species (`gene_prefix`); empty where it cannot be read, which `survey` says."""
    try:
        with opened_own(member.section) as spots:
            return gene_prefix(spots.var["gene_ids"])
    except EfnstError:
        return ""


def _few_genes(n_genes: int, missing: float) -> str:
    """What is wrong with a section that does not measure most of the genes."""
    return (
        f"Expected at least {1 - MOST_MISSING:.0%} of the {n_genes} genes that the sections share, found "
        f"{1 - missing:.0%}. Was another panel measured, or are genes named in another way? Run it by itself."
    )


def _missing(member: Member, genes: SharedGenes) -> float:
    """Share of the genes that a section does not measure."""
    with opened_own(member.section) as spots:
        return genes.missing(spots)
