"""Which sections go together, and the genes that they share."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from anndata import AnnData

from efnst.embedding.cohort import Member
from efnst.embedding.options import CohortOptions, EmbeddingOptions
from efnst.embedding.reference import FEWEST_SPOTS, MOST_MISSING, gene_prefix
from efnst.embedding.sketch import enough, some_of
from efnst.errors import EfnstError
from efnst.genes.shared import SharedGenes, Survey
from efnst.inputs.gene_names import plain_names
from efnst.names import SPATIAL
from efnst.program.numbers import beyond
from efnst.records.reference import MANY_MISSING

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
            raise EfnstError(_none_usable(list(problems.values())))
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
            found.add(_looked_at(section), options.min_spots_per_gene)
            sizes[member.sample] = section.n_obs
        except EfnstError as error:
            problems[member.sample] = str(error)
    return found, sizes, problems


def _looked_at(section: AnnData) -> AnnData:
    """The section, or whole tiles of a large one."""
    rows = some_of(np.asarray(section.obsm[SPATIAL], float), enough(section.n_obs))
    return section if len(rows) == section.n_obs else section[rows].copy()


def _none_usable(problems: list[str]) -> str:
    """What is wrong where no section can be used."""
    if len(problems) == 1:
        return problems[0]
    return f"Expected sections to learn from, found that none can be used. {'; '.join(problems)}"


def _of_other_species(members: Sequence[Member]) -> dict[str, str]:
    """What is wrong with sections of another species than most, by sample."""
    prefixes = {member.sample: _prefix(member) for member in members}
    if len(set(prefixes.values()) - {""}) < 2:
        return {}
    species = {sample: prefix for sample, prefix in prefixes.items() if prefix} | _by_genes(members, prefixes)
    counts = Counter(species.values())
    most = [each for each, count in counts.items() if count == max(counts.values())]
    if len(most) > 1:
        named = "; ".join(f"{each}… in {', '.join(s for s in species if species[s] == each)}" for each in most)
        raise EfnstError(
            f"Expected sections of one species, found genes {named}. Run each species by itself: remove the rows of "
            "the others from the samplesheet."
        )
    of_most = f"of the species of most sections ({most[0]}…)"
    expected = of_most if most[0] in prefixes.values() else "that most sections name by symbols only"
    return {
        sample: f"Expected genes {expected}, found those of another ({prefix}…). Run it by itself, or with others of "
        "its species."
        for sample, prefix in prefixes.items()
        if prefix and prefix not in most
    }


def _by_genes(members: Sequence[Member], prefixes: dict[str, str]) -> dict[str, str]:
    """What species the sections without a prefix are of, by sample: a prefix, or a name for those like each other.

    It is the one with which a section shares most of its symbols. A section that shares as many with several, or that
    cannot be read, is not there.
    """
    known, found = {prefix: set() for prefix in sorted(set(prefixes.values()) - {""})}, {}
    for member in (member for member in members if prefixes[member.sample]):
        known[prefixes[member.sample]] |= _symbols(member)
    for member in (member for member in members if not prefixes[member.sample]):
        own = _symbols(member)
        shares = {species: len(own & genes) / max(min(len(own), len(genes)), 1) for species, genes in known.items()}
        most = max(shares.values())
        like = [species for species, share in shares.items() if share == most]
        if most <= MOST_MISSING:
            like = [f"those like {member.sample}"]
        if own and len(like) == 1:
            found[member.sample] = like[0]
            known.setdefault(like[0], own)
    return found


def _prefix(member: Member) -> str:
    """What tells a section's species (`gene_prefix`); empty where it cannot be read, which `survey` says."""
    try:
        with member.opened() as spots:
            return gene_prefix(spots.var["gene_ids"])
    except EfnstError:
        return ""


def _symbols(member: Member) -> set[str]:
    """The symbols of a section's genes; none where it cannot be read."""
    try:
        with member.opened() as spots:
            return set(plain_names(spots.var_names))
    except EfnstError:
        return set()


def _few_genes(n_genes: int, missing: float) -> str:
    """What is wrong with a section that does not measure most of the genes."""
    return (
        f"Expected at least {1 - MOST_MISSING:.0%} of the {n_genes} genes that the sections share, found "
        f"{beyond(100 * (1 - missing), 100 * (1 - MOST_MISSING), 2)}%. Was another panel measured, or are genes named "
        "in another way? Run it by itself."
    )


def _missing(member: Member, genes: SharedGenes) -> float:
    """Share of the genes that a section does not measure."""
    with member.opened() as spots:
        return genes.missing(spots)
