"""The cohort: one row per section, and the content of the MultiQC report. What comes from data is HTML-escaped."""

import base64
import csv
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import pandas as pd
import yaml

from efnst.palette import domain_colour
from efnst.program import read_json

ENDED_UNEXPECTEDLY = "ended unexpectedly; see pipeline_info/execution_trace.txt"
METHODS = {"efnst": "EfNST", "diffused": "diffused", "leiden": "leiden"}
FIELDS = (
    *("n_spots_in_tissue", "n_spots_kept", "median_counts", "median_genes", "median_pct_mt"),
    *("n_domains_asked", "n_domains_found", "image_source"),
    *(f"{method}_{score}" for score in ("chaos", "pas", "silhouette") for method in METHODS),
    *(f"ari_{method}" for method in METHODS),
    *("device", "seconds", "spots_per_second"),
)
COLUMNS = ("sample", "status", "reason", "report", *FIELDS)
OF_SECTION = {  # columns of summary.csv that are the same for all methods, with their types
    **dict.fromkeys(("n_spots_in_tissue", "n_spots_kept"), "Int64"),
    **dict.fromkeys(("median_counts", "median_genes", "median_pct_mt"), "Float64"),
    **dict.fromkeys(("image_source", "device"), "string"),
    **dict.fromkeys(("seconds", "spots_per_second"), "Float64"),
    "n_domains_asked": "Int64",
}
OF_METHOD = {
    **{"n_domains": "Int64", "how": "string", "n_runs": "Int64"},
    **dict.fromkeys(("stability", "chaos", "pas", "silhouette"), "Float64"),
    **dict.fromkeys(("ari", "ami", "nmi", "homogeneity", "completeness", "v_measure"), "Float64"),
}
TYPES = dict.fromkeys(("sample", "group", "method", "status", "reason", "report"), "string") | OF_SECTION | OF_METHOD
STATUS_COLOURS = [{"good": "#2e8b57"}, {"doubtful": "#c98a00"}, {"bad": "#c0392b"}]
STATUS_RULES = {
    "good": [{"s_eq": "pass"}],
    "doubtful": [{"s_eq": "warn"}],
    "bad": [{"s_eq": "failed"}],
}
WHOLE, ONE_DIGIT, THREE_DIGITS = "{:,.0f}", "{:,.1f}", "{:,.3f}"


@dataclass(frozen=True)
class Outcome:
    """How one section ended; `summary` is its section_summary.json, None if it never got that far."""

    sample: str
    status: str
    reason: str
    summary: dict | None

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
    samples: list[str], summaries: list[dict], failures: list[dict], warnings: Sequence[dict] = ()
) -> list[Outcome]:
    """One outcome per sample, in the order of the samplesheet.

    A failure without a sample is of a step that all sections need: it is the reason of every section without an end.
    `warnings` are of steps that a section does without: a finished section with one is still finished.
    """
    summary_of = {summary["sample"]: summary for summary in summaries}
    unknown = ({record["sample"] for record in [*failures, *warnings]} | set(summary_of)) - {*samples, ""}
    if unknown:
        raise ValueError(f"results of samples that are not in sections.json: {', '.join(sorted(unknown))}")
    return [_outcome(sample, summary_of.get(sample), failures, warnings) for sample in samples]


def _outcome(sample: str, summary: dict | None, failures: list[dict], warnings: Sequence[dict]) -> Outcome:
    """The outcome of one sample."""
    own = [failure for failure in failures if failure["sample"] == sample]
    if not own and summary is None:
        own = [failure for failure in failures if failure["sample"] == ""]
    if own:
        reasons = dict.fromkeys(f"{failure['step']}: {failure['reason']}" for failure in own)
        return Outcome(sample, "failed", "; ".join(reasons), summary)
    if summary is None:
        return Outcome(sample, "failed", ENDED_UNEXPECTEDLY, None)
    more = [f"{record['step']}: {record['reason']}" for record in warnings if record["sample"] == sample]
    status = "warn" if more else summary["status"]
    return Outcome(sample, status, "; ".join([*summary["warnings"], *more]), summary)


def write_sections(ended: list[Outcome], path: Path) -> None:
    """sections.csv, one row per section: the same columns whatever ended how; what is not known is empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for outcome in ended:
            values = [(outcome.summary or {}).get(field) for field in FIELDS]
            fields = ["" if value is None else value for value in values]
            writer.writerow([outcome.sample, outcome.status, outcome.reason, outcome.report, *fields])


def summary_table(ended: list[Outcome], groups: Mapping[str, str] = MappingProxyType({})) -> pd.DataFrame:
    """summary.csv and summary.parquet: one row per section and method, the columns and types always those of `TYPES`.

    `groups` are those of the samplesheet. A section without a result has one row, without a method.
    """
    rows = []
    for outcome in ended:
        summary = outcome.summary or {}
        section = {name: summary.get(name) for name in OF_SECTION} | {"group": groups.get(outcome.sample)}
        section |= {name: getattr(outcome, name) for name in ("sample", "status", "reason", "report")}
        methods = summary.get("methods") or {None: {}}
        rows += [figures | section | {"method": method} for method, figures in methods.items()]
    return pd.DataFrame(rows, columns=list(TYPES)).replace("", None).astype(TYPES)


def contents(ended: list[Outcome], thumbnails: dict[str, Path]) -> dict[str, dict]:
    """MultiQC custom content by file stem, in the order of the report; what no section has data for is left out."""
    made = {
        "status": status_table(ended),
        "statistics": statistics_table(ended),
        "spots_lost": spots_lost(ended),
        "quantiles": quantile_boxes(ended),
        "composition": composition_bars(ended),
        "gallery": gallery(ended, thumbnails),
        "markers": marker_table(ended),
        "scores": score_table(ended),
        "training": training_lines(ended),
        "methods": methods_section(ended),
    }
    return {f"efnst_{name}": {"id": f"efnst_{name}"} | content for name, content in made.items() if content["data"]}


def status_table(ended: list[Outcome]) -> dict:
    """Status, reason and link of every section."""
    rows = {}
    for outcome in ended:
        link = f'<a href="{_url(outcome.report)}">report</a>' if outcome.report else "–"
        rows[escape(outcome.sample)] = {"status": outcome.status, "report": link, "reason": escape(outcome.reason)}
    counts = Counter(outcome.status for outcome in ended)
    totals = ", ".join(f"{counts[status]} {status}" for status in ("pass", "warn", "failed") if counts[status])
    headers = {
        "status": {
            "title": "Status",
            "description": "pass, warn (finished, with the warnings beside it) or failed",
            "scale": False,
            "cond_formatting_rules": STATUS_RULES,
            "cond_formatting_colours": STATUS_COLOURS,
        },
        "report": {"title": "Report", "description": "The section's own report", "scale": False},
        "reason": {"title": "Reason", "description": "Warnings, or the step that failed and why", "scale": False},
    }
    return _table("Sections", f"{len(ended)} sections: {totals}.", rows, headers)


def statistics_table(ended: list[Outcome]) -> dict:
    """The numbers of every section that has some."""
    headers = {
        "n_spots_in_tissue": _header("In tissue", "Spots under tissue", WHOLE, "Blues"),
        "n_spots_kept": _header("Kept", "Spots that passed quality control", WHOLE, "Blues"),
        "median_counts": _header("UMIs", "Median counts per spot", WHOLE, "Greens"),
        "median_genes": _header("Genes", "Median genes per spot", WHOLE, "Greens"),
        "median_pct_mt": _header("Mito", "Median % of mitochondrial counts", ONE_DIGIT, "Oranges") | {"suffix": " %"},
        "n_domains_asked": _header("K asked", "Domains asked for", WHOLE),
        "n_domains_found": _header("K found", "Domains found", WHOLE),
        "efnst_pas": _header("PAS", "Spatial coherence of the domains (lower is better)", THREE_DIGITS, "Purples"),
        "ari_efnst": _header("ARI", "Agreement with the labels, where given", THREE_DIGITS, "RdYlGn"),
        "image_source": _header("Image", "Image that was used", None),
        "device": _header("Device", "Where the network was trained", None),
        "seconds": _header("Training", "Seconds of training", ONE_DIGIT, "Greys") | {"suffix": " s"},
        "spots_per_second": _header("Patches/s", "Patches described per second", WHOLE, "Greys"),
    }
    rows = {name: _known(summary, headers) for name, summary in _finished(ended)}
    shown = {key: header for key, header in headers.items() if any(key in row for row in rows.values())}
    return _table("Statistics", "Counts, domains and time of each section.", rows, shown)


def score_table(ended: list[Outcome]) -> dict:
    """EfNST beside the two baselines."""
    # MultiQC takes the order of the rows from the first column: PAS is known of every section, ARI is not.
    names = {"pas": "PAS", "ari": "ARI", "chaos": "CHAOS", "silhouette": "Silhouette"}
    headers = {}
    for score, title in names.items():
        scale = "RdYlGn" if score == "ari" else "Purples" if score == "silhouette" else "Oranges"
        for method, name in METHODS.items():
            key = f"ari_{method}" if score == "ari" else f"{method}_{score}"
            better = "lower" if score in ("pas", "chaos") else "higher"
            about = _header(f"{title} {name}", f"{title} of {name}; {better} is better", THREE_DIGITS, scale)
            headers[key] = about | {"shared_key": score}
    rows = {name: _known(summary, headers) for name, summary in _finished(ended)}
    shown = {key: header for key, header in headers.items() if any(key in row for row in rows.values())}
    text = (
        "EfNST beside two cheap baselines: diffused (expression smoothed over neighbouring spots, nothing learned) and "
        "leiden (expression alone). ARI only where labels were given. One run each: small differences may be chance."
    )
    return _table("EfNST and baselines", text, {name: row for name, row in rows.items() if row}, shown)


def spots_lost(ended: list[Outcome]) -> dict:
    """Spots that each filter took."""
    data = {name: {_words(key): count for key, count in s["lost"].items()} for name, s in _finished(ended)}
    some = {name: lost for name, lost in data.items() if any(lost.values())}
    text = "Spots left out, by the first filter that took them. Sections that lost none are not shown."
    return _plot("bargraph", "Spots left out", text, some, {"ylab": "Spots", "sort_samples": False})


def quantile_boxes(ended: list[Outcome]) -> dict:
    """Box plots of counts and genes per spot, from five numbers each."""
    keys = ("min", "q1", "median", "q3", "max")
    titles = {"total_counts": "Counts per spot", "n_genes_by_counts": "Genes per spot"}
    data = [
        {name: dict(zip(keys, summary["quantiles"][metric], strict=True)) for name, summary in _finished(ended)}
        for metric in titles
    ]
    labels = [{"name": title, "ylab": title} for title in titles.values()]
    settings = {"data_labels": labels, "boxpoints": False, "sort_samples": False}
    text = "Box: quartiles; whiskers: smallest and largest spot."
    return _plot("boxplot", "Counts and genes per spot", text, data if data[0] else [], settings)


def composition_bars(ended: list[Outcome]) -> dict:
    """Share of each domain; colours as in the sections' reports."""
    data = {name: _per_domain(summary["composition"], 100) for name, summary in _finished(ended)}
    numbers = sorted({key for row in data.values() for key in row}, key=lambda key: int(key.removeprefix("Domain ")))
    colours = {key: {"name": key, "color": domain_colour(int(key.removeprefix("Domain ")))} for key in numbers}
    settings = {"ylab": "% of spots", "cpswitch": False, "ymax": 100, "tt_decimals": 1, "sort_samples": False}
    text = "Numbered by falling size within each section: the same number is not the same tissue in another section."
    return _plot("bargraph", "Domain composition", text, data, settings) | {"categories": colours}


def marker_table(ended: list[Outcome]) -> dict:
    """The best three marker genes of each domain."""
    rows, n_domains = {}, 0
    for name, summary in _finished(ended):
        rows[name] = {}
        for domain, genes in summary["top_markers"].items():
            rows[name][f"domain_{domain}"] = escape(", ".join(genes[:3])) or "–"
            n_domains = max(n_domains, int(domain))
    headers = {
        f"domain_{number}": _header(f"Domain {number}", f"Best markers of domain {number}", None)
        for number in range(1, n_domains + 1)
    }
    text = "The three best markers of each domain (Wilcoxon). All of them: markers.csv and the section's report."
    return _table("Domain markers", text, rows, headers)


def training_lines(ended: list[Outcome]) -> dict:
    """Training curves, one tab per part of the loss."""
    finished = _finished(ended)
    parts = list(dict.fromkeys(part for _, summary in finished for part in summary["loss"]))
    parts.sort(key=lambda part: part != "total")
    data = [{name: summary["loss"][part] for name, summary in finished if part in summary["loss"]} for part in parts]
    labels = [{"name": part, "ylab": part, "xlab": "Epoch"} for part in parts]
    settings = {"xlab": "Epoch", "ylab": parts[0] if parts else "", "data_labels": labels}
    text = "Loss by epoch. Curves that still fall at the end say that more epochs may help."
    return _plot("linegraph", "Training", text, data, settings)


def gallery(ended: list[Outcome], thumbnails: dict[str, Path]) -> dict:
    """H&E beside the domain map of every section, each a link to its report."""
    figures = []
    for outcome in ended:
        path = thumbnails.get(outcome.sample)
        if path is None or not outcome.report:
            continue
        name, image = escape(outcome.sample), base64.b64encode(path.read_bytes()).decode()
        picture = f'<img loading="lazy" alt="{name}" src="data:image/webp;base64,{image}" style="height:150px">'
        figures.append(
            f'<a href="{_url(outcome.report)}" style="display:block;text-decoration:none">'
            f'{picture}<br><span style="font-size:12px">{name}</span></a>'
        )
    html = f'<div style="display:flex;flex-wrap:wrap;gap:18px">{"".join(figures)}</div>' if figures else ""
    return _html("Gallery", "H&E (where there is one) beside the domains. A click opens the section's report.", html)


def methods_section(ended: list[Outcome]) -> dict:
    """The methods as text; a sentence that is not true of all sections says of how many it is."""
    finished = _finished(ended)
    texts = [summary["methods_text"] for _, summary in finished]
    lines = []
    for topic in dict.fromkeys(topic for text in sorted(texts, key=len, reverse=True) for topic in text):
        times = Counter(text[topic] for text in texts if topic in text)
        for sentence, count in times.most_common():
            note = "" if count == len(texts) else f" <i>({count} of {len(texts)} sections)</i>"
            lines.append(f"{escape(sentence)}{note}")
    html = f"<p>{' '.join(lines)}</p>" if lines else ""
    return _html("Methods", "With the parameters that really ran.", html)


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


def read_all(paths: list[Path]) -> list[dict]:
    """JSON files that earlier steps wrote."""
    return [read_json(path) for path in files_below(paths, ".json")]


def _finished(ended: list[Outcome]) -> list[tuple[str, dict]]:
    """Escaped name and summary of the sections that have one."""
    return [(escape(outcome.sample), outcome.summary) for outcome in ended if outcome.summary]


def _known(summary: dict, keys: dict) -> dict:
    """The members of `summary` among `keys` that have a value."""
    known = {key: summary[key] for key in keys if summary.get(key) is not None}
    return {key: escape(value) if isinstance(value, str) else value for key, value in known.items()}


def _per_domain(shares: dict[str, float], factor: float) -> dict[str, float]:
    """Shares with the names that the report shows."""
    return {f"Domain {domain}": share * factor for domain, share in shares.items()}


def _words(key: str) -> str:
    """A key as words."""
    return escape(key.replace("_", " "))


def _url(path: str) -> str:
    """A relative path as an attribute of a link."""
    return escape(quote(path))


def _key(name: str) -> str:
    """The name of a part of the report as an identifier."""
    return f"efnst_{name.lower().replace(' ', '_')}"


def _header(title: str, description: str, number_format: str | None, scale: str | bool = False) -> dict:
    """One column of a table."""
    header = {"title": title, "description": description, "scale": scale}
    return header | ({"format": number_format} if number_format else {})


def _table(name: str, description: str, rows: dict, headers: dict) -> dict:
    """A table that keeps the order of the samplesheet and never becomes a violin plot."""
    settings = {"id": f"{_key(name)}_table", "title": f"EfNST: {name}", "col1_header": "Sample"}
    settings |= {"sort_rows": False, "no_violin": True, "namespace": "EfNST"}
    content = {"section_name": name, "description": description, "plot_type": "table", "pconfig": settings}
    return content | {"headers": headers, "data": rows}


def _plot(kind: str, name: str, description: str, data: dict | list, settings: dict) -> dict:
    """A plot of MultiQC."""
    settings = {"id": f"{_key(name)}_plot", "title": f"EfNST: {name}"} | settings
    return {"section_name": name, "description": description, "plot_type": kind, "pconfig": settings, "data": data}


def _html(name: str, description: str, html: str) -> dict:
    """A piece of HTML."""
    return {"section_name": name, "description": description, "plot_type": "html", "data": html}
