"""The content of the MultiQC report. What comes from data is HTML-escaped."""

import base64
from collections import Counter
from collections.abc import Mapping
from html import escape
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import numpy as np

from efnst.names import METHOD_TITLES
from efnst.palette import domain_colour
from efnst.reports.cohort import STATUSES, Outcome
from efnst.reports.profiles import Profiles, marker_scores, principal_components

# Beside the word, for those who do not see red and green.
STATUS_COLOURS = [{"pass": "#17643a"}, {"warn": "#b87a00"}, {"fail": "#c0392b"}, {"error": "#3a3a3a"}]
STATUS_RULES = {status: [{"s_eq": status}] for status in STATUSES}
BORDERS = [[0, "#ffffff"], [1, "#0072b2"]]
HEAT = [[0, "#d55e00"], [0.5, "#ffffff"], [1, "#0072b2"]]
MARKER_GENES = 40  # columns of the heat map
CLUSTERED_ROWS = 300  # MultiQC takes 20 s to cluster 1400
ADJACENT_DOMAINS = 8  # pairs of the first so many domains are shown
GROUP_COLOURS = 24  # more groups are not told apart
WHOLE, ONE_DIGIT, THREE_DIGITS = "{:,.0f}", "{:,.1f}", "{:,.3f}"


def contents(
    ended: list[Outcome],
    thumbnails: dict[str, Path],
    profiles: Profiles | None = None,
    groups: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, dict]:
    """MultiQC custom content by file stem, in the order of the report; what no section has data for is left out.

    `profiles`: of the domains of all sections; `groups`: of the samplesheet, by sample.
    """
    made = {
        "status": status_table(ended),
        "statistics": statistics_table(ended),
        "scores": score_table(ended),
        "spots_lost": spots_lost(ended),
        "quantiles": quantile_boxes(ended),
        "composition": composition_bars(ended),
        "gallery": gallery(ended, thumbnails),
        "marker_map": marker_map(ended, profiles),
        "markers": marker_table(ended),
        "adjacency": adjacency_map(ended),
        "profiles": profile_scatter(profiles, groups),
        "training": training_lines(ended),
        "stability": stability_bars(ended),
        "devices": device_table(ended),
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
    totals = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
    headers = {
        "status": {
            "title": "Status",
            "description": "pass; warn: finished, with warnings; fail: finished, but by the rules of quality control "
            "not to be relied on; error: a step stopped",
            "scale": False,
            "cond_formatting_rules": STATUS_RULES,
            "cond_formatting_colours": STATUS_COLOURS,
        },
        "report": {"title": "Report", "description": "The section's own report", "scale": False},
        "reason": {
            "title": "Reason",
            "description": "Warnings, broken rules, or the step that stopped and why",
            "scale": False,
        },
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
        "efnst_stability": _header(
            "Stability", "Mean ARI of pairs of trainings; below about 0.6 is worrying", "{:,.2f}", "RdYlGn"
        ),
        "image_source": _header("Image", "Image that was used", None),
        "device": _header("Device", "Where the network was trained", None),
        "seconds": _header("Training", "Seconds of training", ONE_DIGIT, "Greys") | {"suffix": " s"},
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
        for method, name in METHOD_TITLES.items():
            key = f"ari_{method}" if score == "ari" else f"{method}_{score}"
            better = "lower" if score in ("pas", "chaos") else "higher"
            about = _header(f"{title} {name}", f"{title} of {name}; {better} is better", THREE_DIGITS, scale)
            headers[key] = about | {"shared_key": score}
    rows = {name: _known(summary, headers) for name, summary in _finished(ended)}
    shown = {key: header for key, header in headers.items() if any(key in row for row in rows.values())}
    text = (
        "EfNST beside two cheap baselines: diffused (expression smoothed over neighbouring spots, nothing "
        "learned) and leiden (expression alone). ARI only where labels were given. One run each: small "
        "differences may be chance."
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


def marker_map(ended: list[Outcome], profiles: Profiles | None) -> dict:
    """Expression of the most frequent markers in every domain of every section."""
    rows = {}
    if profiles:
        markers = [{domain: genes[:3] for domain, genes in s["top_markers"].items()} for _, s in _finished(ended)]
        scores = marker_scores(profiles, markers, MARKER_GENES).round(2)
        scores.columns = [escape(gene) for gene in scores.columns]
        names = _profile_names(profiles)
        rows = dict(zip(names, scores.to_dict("records"), strict=True)) if len(scores.columns) else {}
    text = (
        "Rows: the domains of all sections; columns: the genes most often among the three best markers of a "
        "domain. Colour: counts per million of the domain (pseudo-bulk, log2) in standard deviations from the"
        " mean of all rows. Rows that are alike in different sections are the same tissue; a section whose "
        "rows are like no others stands apart."
    )
    settings = {"xcats_samples": False, "ycats_samples": False, "square": False, "min": -3, "max": 3, "colstops": HEAT}
    settings |= {"xlab": "Gene", "ylab": "Domain", "zlab": "z score", "display_values": False}
    settings |= dict.fromkeys(("cluster_rows", "cluster_cols"), len(rows) <= CLUSTERED_ROWS)
    return _plot("heatmap", "Markers in all domains", text, rows, settings)


def adjacency_map(ended: list[Outcome]) -> dict:
    """Which domains border on which, for each section."""
    rows = {}
    for name, summary in _finished(ended):
        adjacency = summary["adjacency"]
        rows[name] = _shares_of_borders(adjacency["domains"], np.array(adjacency["pairs"]))
    pairs = sorted({pair for row in rows.values() for pair in row}, key=lambda pair: [int(n) for n in pair.split("–")])
    rows = {name: {pair: row.get(pair) for pair in pairs} for name, row in rows.items()} if pairs else {}
    text = (
        "Share of the borders in a section (touching pairs of spots of different domains) that lie between two "
        f"domains, of the first {ADJACENT_DOMAINS}; in %. Layered tissue has few strong pairs in each row, others "
        "many weak ones. Numbers go by size within each section. The sections' reports test the pairs against chance."
    )
    settings = {"xcats_samples": False, "square": False, "min": 0, "colstops": BORDERS, "tt_decimals": 1}
    settings |= {"xlab": "Domains", "ylab": "Section", "zlab": "% of the borders", "display_values": False}
    return _plot(
        "heatmap", "Which domains touch", text, rows, settings | {"cluster_rows": False, "cluster_cols": False}
    )


def _shares_of_borders(domains: list[str], pairs: np.ndarray) -> dict[str, float]:
    """For each pair of different domains its share of all borders, in %."""
    total = np.triu(pairs, 1).sum()
    shown = min(len(domains), ADJACENT_DOMAINS)
    return {
        f"{domains[first]}–{domains[second]}": round(100 * float(pairs[first, second] / max(total, 1)), 1)
        for first in range(shown)
        for second in range(first + 1, shown)
    }


def profile_scatter(profiles: Profiles | None, groups: Mapping[str, str]) -> dict:
    """The domains of all sections by the first two components of their profiles."""
    data, share = {}, np.zeros(2)
    if profiles and len(set(profiles.samples)) > 1:
        places, share = principal_components(profiles)
        of_row = [groups.get(sample) or sample for sample in profiles.samples]
        kinds = list(dict.fromkeys(of_row))
        colours = {kind: domain_colour(number) for number, kind in enumerate(kinds, 1)}
        for name, kind, (x, y) in zip(_profile_names(profiles), of_row, places, strict=True):
            point = {"x": round(float(x), 3), "y": round(float(y), 3)}
            data[name] = point | (
                {"color": colours[kind], "group": escape(kind)} if len(kinds) <= GROUP_COLOURS else {}
            )
    text = (
        "Each point is a domain of a section: counts per million summed over its spots (log2), the most "
        "variable genes. The same tissue of different sections should lie together; a section whose points "
        "lie apart is an outlier or another batch. Colours: groups of the samplesheet where given, else "
        "sections."
    )
    labels = [f"PC{number} ({part:.2f} of the variance)" for number, part in enumerate(share, 1)]
    settings = {"xlab": labels[0], "ylab": labels[1], "marker_size": 8}
    return _plot("scatter", "Domains of the cohort", text, data, settings)


def _profile_names(profiles: Profiles) -> list[str]:
    """What a row of the profiles is called."""
    return [
        f"{escape(sample)} {escape(domain)}" for sample, domain in zip(profiles.samples, profiles.domains, strict=True)
    ]


def stability_bars(ended: list[Outcome]) -> dict:
    """How alike the trainings of each section are."""
    known = [(name, summary.get("efnst_stability")) for name, summary in _finished(ended)]
    data = {name: {"Stability": value} for name, value in known if value is not None}
    settings = {"ylab": "mean ARI of pairs of trainings", "ymin": 0, "ymax": 1, "cpswitch": False}
    settings |= {"tt_decimals": 3, "sort_samples": False}
    text = (
        "How alike the trainings with different seeds divide a section: 1 is equal. Below about 0.6 the "
        "domains depend on the seed."
    )
    return _plot("bargraph", "Stability", text, data, settings)


def device_table(ended: list[Outcome]) -> dict:
    """Where the encoder and the network ran, and how fast."""
    headers = {
        "encoder": _header("Encoder", "Network that described the patches", None),
        "encoder_device": _header("Encoder on", "Device of the encoder", None),
        "provider": _header("Provider", "onnxruntime's execution provider, as it really ran", None),
        "precision": _header("Precision", "Precision of the encoder", None),
        "spots_per_second": _header("Patches/s", "Patches described per second", WHOLE, "Greens"),
        "encoder_seconds": _header("Encoding", "Seconds of describing patches", ONE_DIGIT, "Greys") | {"suffix": " s"},
        "device": _header("Trained on", "Device of the training", None),
        "seconds": _header("Training", "Seconds of all trainings", ONE_DIGIT, "Greys") | {"suffix": " s"},
        "epochs": _header("Epochs", "Epochs of all trainings", WHOLE),
    }
    rows = {name: _known(s | {"epochs": sum(s.get("n_epochs", [])) or None}, headers) for name, s in _finished(ended)}
    shown = {key: header for key, header in headers.items() if any(key in row for row in rows.values())}
    return _table("Devices and speed", "Where each section was computed, and how fast.", rows, shown)


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
