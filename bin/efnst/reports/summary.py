"""What a section tells the cohort: its status and warnings, its row of figures, and its methods as text."""

import anndata
import numpy as np

from efnst.image.picture import plain
from efnst.names import BASELINES, DOMAIN, SECTION
from efnst.provenance.methods import methods_text
from efnst.quality.rules import STATUSES
from efnst.records.cohort import SectionSummary
from efnst.records.domains import DomainsRecord, MethodFigures, MethodRecord, TrainingRecord
from efnst.records.section import Records

FIGURES = set(MethodFigures.model_fields)
LOSS_POINTS = 100  # points of each training curve


def section_status(records: Records, warnings: list[str]) -> str:
    """fail where a rule of quality control says so of the section or its image, else warn where there are warnings."""
    found = [record.qc_status for record in (records.qc, records.image_qc) if record]
    found += [records.domains.fit.verdict] if records.domains.fit else []
    found.append("warn" if warnings else "pass")
    return max(found, key=STATUSES.index)


def section_warnings(records: Records) -> list[str]:
    """What the user should know before trusting this section."""
    found = [*records.qc.warnings, *(records.image_qc.warnings if records.image_qc else [])]
    found += records.training.warnings or []
    domains = records.domains
    if not domains.common:  # a section need not have all domains of a cohort, whose number is no matter of its own
        found += _unclear_number(domains)
    found += [f"Beside the reference: {reason}." for reason in domains.fit.reasons] if domains.fit else []
    return list(dict.fromkeys(found))


def _unclear_number(domains: DomainsRecord) -> list[str]:
    """Warnings where fewer domains were found than meant, or more than were tried may be there.

    That no number stands out is in the report.
    """
    found, choice = [], domains.choice
    if domains.n_domains_asked != domains.n_domains_found:
        verb = "chosen" if choice else "asked for"
        found.append(f"{domains.n_domains_found} domains were found where {domains.n_domains_asked} were {verb}.")
    if choice and choice.supported and choice.runner_up is not None and choice.n_domains == max(choice.curve.n_domains):
        text = f"{choice.n_domains} domains, the most that were tried, were chosen"
        found.append(f"{text}: raise max_domains, or give n_domains.")
    return found


def section_summary(data: anndata.AnnData, records: Records, parameters: dict) -> SectionSummary:
    """The section's row of the cohort summary, and what the cohort's report needs."""
    warnings, image_source = section_warnings(records), str(data.uns[SECTION]["image"]["source"])
    spots = data.obs[DOMAIN].value_counts(sort=False)
    counted = {"sample", "n_spots_in_tissue", "n_spots_kept", "median_counts", "median_genes", "median_pct_mt"}
    return SectionSummary(
        **records.qc.model_dump(include=counted | {"lost", "quantiles"}),
        **records.domains.model_dump(include={"n_domains_asked", "n_domains_found"}),
        device=records.training.device,
        seconds=_seconds(records.training),
        **_scores(records.domains.methods),
        **_fit(records.domains),
        **_names(records.domains),
        **_devices(records),
        status=section_status(records, warnings),
        warnings=warnings,
        image_source=image_source,
        composition={str(domain): int(count) for domain, count in spots.items()},
        top_markers={domain: genes[:5] for domain, genes in records.description.top_markers.items()},
        adjacency=records.description.adjacency,
        loss={part: thinned(values) for part, values in records.training.loss.items()},
        methods_text=methods_text(records, parameters, plain(data.uns[SECTION])),
    )


def _seconds(training: TrainingRecord) -> float:
    """Time of all trainings, of sections learned from together an equal share, so that those of a cohort add up."""
    return training.seconds / len(training.cohort.samples) if training.cohort else training.seconds


def _scores(methods: dict[str, MethodRecord]) -> dict:
    """The scores of each method, and its figures without tables."""
    names = (DOMAIN, *reversed(BASELINES))
    row = {f"{name}_{key}": getattr(methods[name], key) for key in ("chaos", "pas", "silhouette") for name in names}
    row |= {f"ari_{name}": methods[name].ari for name in names if methods[name].ari is not None}
    figures = {name: methods[name].model_dump(include=FIGURES, exclude_unset=True) for name in names}
    return row | {"methods": figures, "efnst_stability": methods[DOMAIN].stability}


def _fit(domains: DomainsRecord) -> dict:
    """How the section fits the reference that it was given, if any."""
    return {"novel_share": domains.fit.novel, "verdict": domains.fit.verdict} if domains.fit else {}


def _names(domains: DomainsRecord) -> dict:
    """What labels of other sections call the domains, and how well they name this section, if any do."""
    scores = {f"named_{key}": value for key, value in domains.named.plain().items()} if domains.named else {}
    return scores | ({"names": domains.names} if domains.names else {})


def _devices(records: Records) -> dict:
    """Where the encoder ran and how fast; None for a section without an image."""
    named = {"encoder_device": "device", "provider": "provider", "precision": "precision"}
    named |= {"patches_per_second": "patches_per_second", "encoder_seconds": "seconds"}
    return {name: getattr(records.features, key, None) for name, key in named.items()} | {
        "encoder": records.encoder.encoder if records.encoder else None,
        "n_epochs": [run.epochs for run in records.training.runs],
    }


def thinned(values: list[float]) -> list[list[float]]:
    """At most `LOSS_POINTS` pairs of epoch (from 1) and value, the first and the last among them."""
    epochs = np.unique(np.linspace(0, len(values) - 1, min(len(values), LOSS_POINTS)).astype(int))
    return [[int(epoch) + 1, float(f"{values[epoch]:.5g}")] for epoch in epochs]
