"""Tables of the MultiQC report: one row per section. What comes from data is HTML-escaped."""

from collections import Counter
from collections.abc import Sequence
from html import escape

from efnst.names import METHOD_TITLES
from efnst.records.cohort import SectionSummary
from efnst.reports.cohort import STATUSES, Outcome
from efnst.reports.multiqc_elements import ONE_DIGIT, THREE_DIGITS, WHOLE, finished_sections, header, known, table, url
from efnst.statistics.proportions import in_order

# Beside the word, for readers who do not distinguish red and green.
STATUS_COLOURS = [{"pass": "#17643a"}, {"warn": "#b87a00"}, {"fail": "#c0392b"}, {"error": "#3a3a3a"}]
STATUS_RULES = {status: [{"s_eq": status}] for status in STATUSES}
STATUS_HEADERS = {
    "status": {
        "title": "Status",
        "description": "pass; warn: finished, with warnings; fail: finished, but fails quality control or "
        "does not fit the reference, not to be relied on; error: a step failed",
        "scale": False,
        "cond_formatting_rules": STATUS_RULES,
        "cond_formatting_colours": STATUS_COLOURS,
    },
    "report": {"title": "Report", "description": "The section's own report", "scale": False},
    "reason": {
        "title": "Reason",
        "description": "Warnings, failed quality rules, or the step that failed and why",
        "scale": False,
    },
}
STATISTICS = {
    "n_spots_in_tissue": header("In tissue", "Spots under tissue", WHOLE, "Blues"),
    "n_spots_kept": header("Kept", "Spots that passed quality control", WHOLE, "Blues"),
    "median_counts": header("UMIs", "Median counts per spot", WHOLE, "Greens"),
    "median_genes": header("Genes", "Median genes per spot", WHOLE, "Greens"),
    "median_pct_mt": header(
        "Mito", "Median % of mitochondrial counts; empty where no such gene is known", ONE_DIGIT, "Oranges"
    )
    | {"suffix": " %"},
    "n_domains_asked": header("K requested", "Number of domains requested", WHOLE),
    "n_domains_found": header("K found", "Number of domains found", WHOLE),
    "efnst_pas": header("PAS", "Spatial coherence of the domains (lower is better)", THREE_DIGITS, "Purples"),
    "ari_efnst": header("ARI", "Agreement with the given labels", THREE_DIGITS, "RdYlGn"),
    "efnst_stability": header(
        "Stability", "Mean ARI of pairs of trainings; below about 0.6 unstable", "{:,.2f}", "RdYlGn"
    ),
    "named_macro_f1": header(
        "Named", "Macro F1 of the names that labels of other sections gave, with its own labels", THREE_DIGITS, "RdYlGn"
    ),
    "novel_share": header("Novel", "Share of spots unlike all that the reference knows", THREE_DIGITS, "Oranges"),
    "verdict": header("Fits", "Whether the reference fits this section: pass, warn, fail", None),
    "image_source": header("Image", "Image used", None),
    "device": header("Device", "Where the network was trained", None),
    "seconds": header("Training", "Seconds of training; of a cohort, its share", ONE_DIGIT, "Greys") | {"suffix": " s"},
}
# First in tables by domain, since every section has it: MultiQC takes the order of the rows from the first column.
NUMBER = {"n_domains_found": STATISTICS["n_domains_found"]}
DEVICES = {
    "encoder": header("Encoder", "Network that encoded the patches", None),
    "encoder_device": header("Encoder on", "Device of the encoder", None),
    "provider": header("Provider", "Execution provider that ONNX Runtime used", None),
    "precision": header("Precision", "Precision of the encoder", None),
    "patches_per_second": header("Patches/s", "Patches encoded per second", WHOLE, "Greens"),
    "encoder_seconds": header("Encoding", "Seconds of encoding patches", ONE_DIGIT, "Greys") | {"suffix": " s"},
    "device": header("Trained on", "Device of the training", None),
    "seconds": header("Training", "Seconds of training; of a cohort its share", ONE_DIGIT, "Greys") | {"suffix": " s"},
    "epochs": header("Epochs", "Epochs of all trainings", WHOLE),
}


def status_table(ended: list[Outcome], told: Sequence[str] = ()) -> dict:
    """Status, reason and link of every section, below what is `told` of all of them."""
    rows = {}
    for outcome in ended:
        link = f'<a href="{url(outcome.report)}">report</a>' if outcome.report else "–"
        rows[escape(outcome.sample)] = {"status": outcome.status, "report": link, "reason": escape(outcome.reason)}
    counts = Counter(outcome.status for outcome in ended)
    totals = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
    text = escape(" ".join([f"{len(ended)} sections: {totals}.", *told]))
    return table("Sections", text, rows, STATUS_HEADERS)


def statistics_table(ended: list[Outcome]) -> dict:
    """The figures of every section that finished."""
    text = "Counts, domains and run time of each section."
    rows = {name: known(summary, STATISTICS) for name, summary in finished_sections(ended)}
    return _table_of_rows("Statistics", text, rows, STATISTICS)


def score_table(ended: list[Outcome]) -> dict:
    """EfNST beside the two baselines."""
    headers = _score_headers()
    rows = {name: known(summary, headers) for name, summary in finished_sections(ended)}
    text = (
        "EfNST beside two simple baselines: diffused (expression smoothed over neighbouring spots, nothing "
        "learned) and leiden (expression alone). ARI only where labels were given. EfNST is the consensus of its "
        "trainings and views, each baseline one run: small differences may be due to chance."
    )
    return _table_of_rows("EfNST and baselines", text, {name: row for name, row in rows.items() if row}, headers)


def _score_headers() -> dict[str, dict]:
    """A column for each score and method."""
    # MultiQC takes the order of the rows from the first column: PAS is known of every section, ARI is not.
    names = {"pas": "PAS", "ari": "ARI", "chaos": "CHAOS", "silhouette": "Silhouette"}
    headers = {}
    for score, title in names.items():
        scale = "RdYlGn" if score == "ari" else "Purples" if score == "silhouette" else "Oranges"
        for method, name in METHOD_TITLES.items():
            key = f"ari_{method}" if score == "ari" else f"{method}_{score}"
            better = "lower" if score in ("pas", "chaos") else "higher"
            about = header(f"{title} {name}", f"{title} of {name}; {better} is better", THREE_DIGITS, scale)
            headers[key] = about | {"shared_key": score}
    return headers


def marker_table(ended: list[Outcome]) -> dict:
    """The best three marker genes of each domain."""
    markers = [
        (name, summary, {domain: ", ".join(genes[:3]) or "–" for domain, genes in summary.top_markers.items()})
        for name, summary in finished_sections(ended)
    ]
    text = "The three best markers of each domain (Wilcoxon). markers.csv and the section's report list all."
    return _table_by_domain("Domain markers", text, markers, "Best markers")


def name_table(ended: list[Outcome]) -> dict:
    """What labels of other sections call each domain."""
    names = [(name, summary, summary.names) for name, summary in finished_sections(ended) if summary.names]
    text = (
        "The name that most spots of each domain have, by the labels of other sections; unknown: tissue that nobody "
        "labelled. How well labelled sections are named stands in Statistics (Named)."
    )
    return _table_by_domain("Domain names", text, names, "Name")


def _table_by_domain(name: str, text: str, found: list[tuple[str, SectionSummary, dict[str, str]]], what: str) -> dict:
    """A table of what was `found` of each section, by domain, a column for each domain that any of them has."""
    domains = in_order({domain for _, _, values in found for domain in values})
    headers = {f"domain_{domain}": header(f"Domain {domain}", f"{what} of domain {domain}", None) for domain in domains}
    rows = {
        sample: known(summary, NUMBER) | {f"domain_{domain}": escape(value) for domain, value in values.items()}
        for sample, summary, values in found
    }
    return table(name, text, rows, NUMBER | headers)


def device_table(ended: list[Outcome]) -> dict:
    """Where the encoder and the network ran, and how fast."""
    rows = {name: known(s, DEVICES) | {"epochs": sum(s.n_epochs)} for name, s in finished_sections(ended)}
    return _table_of_rows("Devices and speed", "Where each section was computed, and how fast.", rows, DEVICES)


def _table_of_rows(name: str, text: str, rows: dict[str, dict], headers: dict) -> dict:
    """A table of these rows; a column of `headers` that no row has is left out."""
    shown = {key: column for key, column in headers.items() if any(key in row for row in rows.values())}
    return table(name, text, rows, shown)
