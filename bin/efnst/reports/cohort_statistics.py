"""Statistics of a cohort, from what its sections wrote: tables for files and for the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from efnst.names import NOVEL_DOMAIN
from efnst.program.spreadsheets import harmless_table, read_table
from efnst.records.cohort import SectionSummary, SheetRow
from efnst.reports.cohort import Outcome
from efnst.statistics.association import association_table
from efnst.statistics.common_genes import common_genes
from efnst.statistics.covariates import covariate_table, in_full, with_covariates
from efnst.statistics.embedding import SharedSpots, read_shared_spots
from efnst.statistics.mixing import COLUMNS as MIXING_COLUMNS
from efnst.statistics.mixing import mixing_table
from efnst.statistics.proportions import proportion_table
from efnst.statistics.pseudobulk import pseudobulk_samples, samples_without_genes
from efnst.statistics.shared_markers import shared_gene_sets, shared_markers

STATUS = "section_status"  # column of the tables that have a row for each section
NAMES = dict.fromkeys(("domain", "gene", "gene_set"), str)  # also where they are written in digits


@dataclass(frozen=True)
class Statistics:
    """What is said of the cohort; None where domains are not common to its sections, or nothing is known."""

    common: bool
    covariates: pd.DataFrame
    proportions: pd.DataFrame
    tests: pd.DataFrame | None = None
    markers: pd.DataFrame | None = None
    gene_sets: pd.DataFrame | None = None
    mixing: pd.DataFrame | None = None
    spots: SharedSpots | None = None
    statuses: Mapping[str, str] = field(default_factory=dict)  # of the sections, by sample
    told: Sequence[str] = ()  # what the user should know of the sections together


def cohort_statistics(
    ended: Sequence[Outcome],
    rows: Sequence[SheetRow],
    described: Mapping[str, Path],
    common: bool,
    sums: Mapping[str, pd.DataFrame] = MappingProxyType({}),
) -> Statistics:
    """The statistics of the sections that have a result, also of those that failed, which count and are marked.

    `ended`: how each section ended; `rows`: of sections.json; `described`: the folder of describe_domains by sample;
    common: whether a domain is the same in all sections. Where it is not, only the proportions of each section are
    known. `sums`: counts of each domain by sample (`read_sums`), whose genes tell which are the same in two sections.
    """
    statuses = {outcome.sample: outcome.status for outcome in ended if outcome.summary}
    summaries = [outcome.summary for outcome in ended if outcome.summary]
    covariates = covariate_table([row for row in rows if row.id in statuses])
    spots_of = {summary.sample: summary.composition for summary in summaries}
    everywhere = dict.fromkeys(shared_domains(summaries), 0) if common else {}
    proportions = proportion_table({sample: everywhere | spots for sample, spots in spots_of.items()}, common)
    told = (_absent_domains(summaries) if common else []) + _failed_sections(statuses)
    if not common:
        return Statistics(common, covariates, proportions, statuses=statuses, told=told)
    folders = {sample: described[sample] for sample in statuses if sample in described}
    spots = read_shared_spots(_existing(folders, "embedding_sample.npz"))
    return Statistics(
        common,
        covariates,
        proportions,
        tests=association_table(proportions, covariates, _failed(statuses)),
        markers=shared_markers(_markers(folders, sums)),
        gene_sets=shared_gene_sets(_tables(folders, "gene_sets.csv")),
        mixing=_mixing(spots, covariates),
        spots=spots,
        statuses=statuses,
        told=told,
    )


def shared_domains(summaries: Sequence[SectionSummary]) -> list[str]:
    """The domains that sections have in common, also those that none of them has, in order; 0 is none."""
    return [str(number) for number in range(1, max((summary.n_domains_asked for summary in summaries), default=0) + 1)]


def _absent_domains(summaries: Sequence[SectionSummary]) -> list[str]:
    """What to tell of domains that were found together and that no section has; those of a reference may be."""
    found = {domain for summary in summaries for domain, spots in summary.composition.items() if spots}
    shared = shared_domains(summaries)
    absent = [domain for domain in shared if domain not in found]
    if not absent or any(summary.verdict for summary in summaries):
        return []
    which = f"domain {absent[0]} is" if len(absent) == 1 else f"domains {', '.join(absent)} are"
    return [
        f"Of the {len(shared)} domains that the sections share, {which} in none of them: no more than "
        f"{len(shared) - len(absent)} were told apart; give fewer n_domains, or look into sections that failed."
    ]


def _failed_sections(statuses: Mapping[str, str]) -> list[str]:
    """What to tell of sections that failed and count in the statistics all the same."""
    failed = _failed(statuses)
    if not failed:
        return []
    return [
        f"Sections with the status fail or error ({len(failed)} of {len(statuses)}) count in the tables of the cohort, "
        f"which mark them ({STATUS}, n_failed): {', '.join(failed)}; leave them out of the samplesheet if they should "
        "not."
    ]


def _failed(statuses: Mapping[str, str]) -> list[str]:
    """The samples whose status is fail or error."""
    return [sample for sample, status in statuses.items() if status in ("fail", "error")]


def write_statistics(statistics: Statistics, sums: Mapping[str, pd.DataFrame], outdir: Path) -> None:
    """Write proportions.csv, pseudobulk.h5ad and, of common domains, the tables of `Statistics`.

    One without rows is written, too: Nextflow would leave that of an earlier run in its place. `sums`: counts of each
    domain by sample (`read_sums`).
    """
    known = {"domain_tests": statistics.tests, "shared_markers": statistics.markers}
    known["shared_gene_sets"] = statistics.gene_sets
    known["mixing"] = pd.DataFrame(columns=MIXING_COLUMNS) if statistics.mixing is None else statistics.mixing
    tables = known if statistics.common else {}
    for name, table in tables.items():
        harmless_table(table).to_csv(outdir / f"{name}.csv", index=False, float_format="%.6g")
    shares = statistics.proportions.assign(share=statistics.proportions["share"].map("{:.6g}".format))
    about = statistics.covariates.copy()
    about.insert(0, STATUS, pd.Series(statistics.statuses, dtype=object))
    given = with_covariates(shares, about)
    harmless_table(given).to_csv(outdir / "proportions.csv", index=False, float_format=in_full)
    pseudobulk = pseudobulk_samples(sums, statistics.proportions, about)
    if pseudobulk is None and sums:  # so that none of an earlier run stays in its place
        pseudobulk = samples_without_genes(sums, statistics.proportions, about)
    if pseudobulk is not None:
        pseudobulk.write_h5ad(outdir / "pseudobulk.h5ad", compression="gzip", compression_opts=1)


def _existing(folders: Mapping[str, Path], name: str) -> dict[str, Path]:
    """The files of this name, by sample."""
    return {sample: folder / name for sample, folder in folders.items() if (folder / name).exists()}


def _tables(folders: Mapping[str, Path], name: str) -> dict[str, pd.DataFrame]:
    """The tables of this name, by sample, without what is unlike all tissue: that is another thing in each sample."""
    found = _existing(folders, name)
    tables = {sample: read_table(path, dtype=NAMES) for sample, path in found.items()}
    return {sample: table[table["domain"] != str(NOVEL_DOMAIN)] for sample, table in tables.items()}


def _markers(folders: Mapping[str, Path], sums: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """markers.csv by sample, with what the cohort calls the genes."""
    tables, genes = _tables(folders, "markers.csv"), common_genes(sums)
    for sample in tables.keys() & genes.keys():
        own = tables[sample]["gene"]
        tables[sample] = tables[sample].assign(gene=own.map(genes[sample]["gene"]).fillna(own))
    return tables


def _mixing(spots: SharedSpots | None, covariates: pd.DataFrame) -> pd.DataFrame | None:
    """How well samples, and the levels of the samplesheet's columns, mix."""
    if spots is None:
        return None
    named = [name for name in covariates if not pd.api.types.is_numeric_dtype(covariates[name])]
    of_spots = covariates[named].reindex(spots.samples).reset_index(drop=True)
    return mixing_table(spots.embedding, pd.DataFrame({"sample": spots.samples}).join(of_spots))
