"""What a section tells the cohort: its status and warnings, its row of figures, and its methods as text."""

import anndata
import numpy as np

from efnst.names import BASELINES, DOMAIN, SECTION
from efnst.program.records import Records
from efnst.provenance.methods import methods_text
from efnst.quality.rules import STATUSES

LOSS_POINTS = 100  # points of each training curve


def section_status(records: Records, warnings: list[str]) -> str:
    """fail where a rule of quality control says so of the section or its image, else warn where there are warnings."""
    found = [record.get("qc_status", "pass") for record in (records.qc, records.image_qc or {})]
    found.append("warn" if warnings else "pass")
    return max(found, key=STATUSES.index)


def section_warnings(records: Records) -> list[str]:
    """What the user should know before trusting this section."""
    found = list(records.qc["warnings"]) + list((records.image_qc or {}).get("warnings", []))
    asked, n_found = records.domains["n_domains_asked"], records.domains["n_domains_found"]
    if asked != n_found:
        verb = "chosen" if "choice" in records.domains else "asked for"
        found.append(f"{n_found} domains were found where {asked} were {verb}.")
    found += _unclear_number(records.domains.get("choice"))
    return list(dict.fromkeys(found))


def _unclear_number(choice: dict | None) -> list[str]:
    """A warning where the number of domains was chosen and none stands out."""
    if not choice or not choice["flat"]:
        return []
    other = f" {choice['runner_up']} would do as well;" if choice["runner_up"] else ""
    return [f"No number of domains stands out. {choice['n_domains']} was chosen;{other} give n_domains if you know it."]


def section_summary(data: anndata.AnnData, records: Records, parameters: dict) -> dict:
    """The section's row of the cohort summary, and what the cohort's report needs."""
    warnings = section_warnings(records)
    qc, domains, training = records.qc, records.domains, records.training
    counted = ("n_spots_in_tissue", "n_spots_kept", "median_counts", "median_genes", "median_pct_mt")
    row = {"sample": qc["sample"], "status": section_status(records, warnings), "warnings": warnings}
    row |= {key: qc[key] for key in counted}
    row |= {key: domains[key] for key in ("n_domains_asked", "n_domains_found")}
    row["image_source"] = str(data.uns[SECTION]["image"]["source"])
    methods = [method for method in (DOMAIN, *reversed(BASELINES)) if method in domains["methods"]]
    for score in ("chaos", "pas", "silhouette"):
        row |= {f"{method}_{score}": domains["methods"][method].get(score) for method in methods}
    row |= {f"ari_{m}": domains["methods"][m]["ari"] for m in methods if domains["methods"][m].get("ari") is not None}
    row |= {"device": training["device"], "seconds": training["seconds"]}
    row["methods"] = {method: method_figures(domains["methods"][method]) for method in methods}
    row["efnst_stability"] = domains["methods"][DOMAIN].get("stability")
    row |= _devices(records)
    shares = data.obs[DOMAIN].value_counts(normalize=True, sort=False)
    return row | {
        "composition": {str(name): round(float(share), 6) for name, share in shares.items()},
        "lost": qc["lost"],
        "quantiles": qc["quantiles"],
        "top_markers": {domain: genes[:5] for domain, genes in records.description["top_markers"].items()},
        "adjacency": records.description["adjacency"],
        "loss": {part: thinned(values) for part, values in training["loss"].items()},
        "methods_text": methods_text(records, parameters, row["image_source"]),
    }


def _devices(records: Records) -> dict:
    """Where the encoder ran and how fast; None for a section without an image."""
    features = records.features or {}
    named = {"encoder_device": "device", "provider": "provider", "precision": "precision"}
    named |= {"spots_per_second": "spots_per_second", "encoder_seconds": "seconds"}
    return {name: features.get(key) for name, key in named.items()} | {
        "encoder": (records.encoder or {}).get("encoder"),
        "n_epochs": [run["epochs"] for run in records.training["runs"]],
    }


def method_figures(method: dict) -> dict:
    """The figures of one method, without its tables."""
    return {key: value for key, value in method.items() if isinstance(value, int | float | str) or value is None}


def thinned(values: list[float]) -> list[list[float]]:
    """At most `LOSS_POINTS` pairs of epoch (from 1) and value, the first and the last among them."""
    epochs = np.unique(np.linspace(0, len(values) - 1, min(len(values), LOSS_POINTS)).astype(int))
    return [[int(epoch) + 1, float(f"{values[epoch]:.5g}")] for epoch in epochs]
