"""The cohort: how each section ended, and one row for each, or for each and method."""

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import yaml

from efnst.names import METHOD_TITLES
from efnst.program.spreadsheets import harmless
from efnst.quality.rules import STATUSES as OF_RULES
from efnst.records.base import Kind, read_record
from efnst.records.cohort import Failure, SectionSummary

STATUSES = (*OF_RULES, "error")
ENDED_UNEXPECTEDLY = "ended unexpectedly; see pipeline_info/execution_trace.txt"
FIELDS = (
    *("n_spots_in_tissue", "n_spots_kept", "median_counts", "median_genes", "median_pct_mt"),
    *("n_domains_asked", "n_domains_found", "image_source"),
    *(f"{method}_{score}" for score in ("chaos", "pas", "silhouette") for method in METHOD_TITLES),
    *(f"ari_{method}" for method in METHOD_TITLES),
    *("named_macro_f1", "named_ari", "named_known", "names"),
    *("device", "seconds", "patches_per_second"),
)
COLUMNS = ("sample", "status", "reason", "report", *FIELDS)
OF_SECTION = {  # columns of summary.csv that are the same for all methods, with their types
    **dict.fromkeys(("n_spots_in_tissue", "n_spots_kept"), "Int64"),
    **dict.fromkeys(("median_counts", "median_genes", "median_pct_mt"), "Float64"),
    **dict.fromkeys(("image_source", "device"), "string"),
    **dict.fromkeys(("seconds", "patches_per_second"), "Float64"),
    "n_domains_asked": "Int64",
}
OF_METHOD = {
    **{"n_domains": "Int64", "how": "string", "n_runs": "Int64"},
    **dict.fromkeys(("stability", "chaos", "pas", "silhouette"), "Float64"),
    **dict.fromkeys(("ari", "ari_of_units", "ami", "nmi", "homogeneity", "completeness", "v_measure"), "Float64"),
}
TYPES = dict.fromkeys(("sample", "group", "method", "status", "reason", "report"), "string") | OF_SECTION | OF_METHOD


@dataclass(frozen=True)
class Outcome:
    """How one section ended; `summary` is its section_summary.json, None if it never got that far.

    `status`: pass; warn, with warnings; fail, finished but not to be relied on by the rules of quality control; error,
    a step stopped with `reason`.
    """

    sample: str
    status: str
    reason: str
    summary: SectionSummary | None

    @property
    def report(self) -> str:
        """Where the section's report lies, relative to the output folder; empty if there is none."""
        return f"{self.sample}/report.html" if self.summary else ""


def files_below(paths: list[Path], suffix: str) -> list[Path]:
    """The files given, and all those with `suffix` in the folders given (links are followed), sorted."""
    found = []
    for path in paths:
        if path.is_dir():
            walked = os.walk(path, followlinks=True)
            found += [Path(folder) / name for folder, _, names in walked for name in names if name.endswith(suffix)]
        else:
            found.append(path)
    return sorted(found)


def outcomes(
    samples: list[str], summaries: list[SectionSummary], failures: list[Failure], warnings: Sequence[Failure] = ()
) -> list[Outcome]:
    """One outcome per sample, in the order of the samplesheet.

    A failure without a sample is of a step that all sections need: it is the reason of every section without an end.
    `warnings` are of steps that a section does without: a finished section with one is still finished.
    """
    summary_of = {summary.sample: summary for summary in summaries}
    unknown = ({record.sample for record in [*failures, *warnings]} | set(summary_of)) - {*samples, ""}
    if unknown:
        raise ValueError(f"results of samples that are not in sections.json: {', '.join(sorted(unknown))}")
    return [_outcome(sample, summary_of.get(sample), failures, warnings) for sample in samples]


def _outcome(
    sample: str, summary: SectionSummary | None, failures: list[Failure], warnings: Sequence[Failure]
) -> Outcome:
    """The outcome of one sample."""
    own = [failure for failure in failures if failure.sample == sample]
    if not own and summary is None:
        own = [failure for failure in failures if failure.sample == ""]
    if own:
        reasons = dict.fromkeys(f"{failure.step}: {failure.reason}" for failure in own)
        return Outcome(sample, "error", "; ".join(reasons), summary)
    if summary is None:
        return Outcome(sample, "error", ENDED_UNEXPECTEDLY, None)
    more = [f"{record.step}: {record.reason}" for record in warnings if record.sample == sample]
    status = "warn" if more and summary.status == "pass" else summary.status
    return Outcome(sample, status, "; ".join([*summary.warnings, *more]), summary)


def write_sections(ended: list[Outcome], path: Path) -> None:
    """sections.csv, one row per section: the same columns whatever ended how; what is not known is empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for outcome in ended:
            values = [getattr(outcome.summary, field, None) for field in FIELDS]
            row = [outcome.sample, outcome.status, outcome.reason, outcome.report, *map(_cell, values)]
            writer.writerow(map(harmless, row))


def _cell(value: object) -> object:
    """A value of a record in a table: empty where it is not known, names of domains as `1 tumour; 2 stroma`."""
    if isinstance(value, dict):
        return "; ".join(f"{key} {name}" for key, name in value.items())
    return "" if value is None else value


def summary_table(ended: list[Outcome], groups: Mapping[str, str] = MappingProxyType({})) -> pd.DataFrame:
    """summary.csv and summary.parquet: one row per section and method, the columns and types always those of `TYPES`.

    `groups` are those of the samplesheet. A section without a result has one row, without a method.
    """
    rows = []
    for outcome in ended:
        section = {name: getattr(outcome.summary, name, None) for name in OF_SECTION}
        section["group"] = groups.get(outcome.sample)
        section |= {name: getattr(outcome, name) for name in ("sample", "status", "reason", "report")}
        methods = outcome.summary.methods if outcome.summary else {}
        rows += [figures.plain() | section | {"method": name} for name, figures in methods.items()]
        rows += [] if methods else [section | {"method": None}]
    return pd.DataFrame(rows, columns=list(TYPES)).replace("", None).astype(TYPES)


def merged_versions(paths: list[Path]) -> dict[str, dict[str, list[str]]]:
    """Versions of all versions.yml as process -> package -> versions; more than one where the sections differ."""
    merged = {}
    for path in paths:
        for process, packages in (yaml.safe_load(path.read_text()) or {}).items():
            for package, version in packages.items():
                found = merged.setdefault(str(process), {}).setdefault(str(package), [])
                if str(version) not in found:
                    found.append(str(version))
    return {process: dict(sorted(packages.items())) for process, packages in sorted(merged.items())}


def read_all(paths: list[Path], kind: type[Kind]) -> list[Kind]:
    """The records of this `kind` that earlier steps wrote."""
    return [read_record(path, kind) for path in files_below(paths, ".json")]
