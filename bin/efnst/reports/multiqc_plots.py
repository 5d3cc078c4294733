"""Plots of the MultiQC report. What comes from data is HTML-escaped."""

from collections.abc import Mapping
from itertools import combinations, permutations

import numpy as np

from efnst.palette import domain_colour
from efnst.records.domains import Adjacency
from efnst.reports.cohort import Outcome
from efnst.reports.multiqc_elements import colour_key, finished_sections, plot, plot_text, words
from efnst.reports.profiles import Profiles, marker_scores, principal_components
from efnst.statistics.proportions import in_order

BORDERS = [[0, "#e6eef4"], [1, "#0072b2"]]  # no share is white, as what is not known
HEAT = [[0, "#d55e00"], [0.5, "#ffffff"], [1, "#0072b2"]]
MARKER_GENES = 40  # columns of the heat map
CLUSTERED_ROWS = 300  # MultiQC takes 20 s to cluster 1400
ADJACENT_DOMAINS = 8  # pairs of the first so many domains are shown
GROUP_COLOURS = 24  # more groups cannot be distinguished by colour
NUMBERED_EACH = (
    "Numbered by decreasing size within each section: equal numbers in two sections need not be the same tissue."
)


def spots_lost(ended: list[Outcome]) -> dict:
    """Spots that each filter removed."""
    data = {name: {words(key): count for key, count in s.lost.items()} for name, s in finished_sections(ended)}
    some = {name: lost for name, lost in data.items() if any(lost.values())}
    text = "Spots left out, by the first filter that removed them. Sections without such spots are not shown."
    return plot("bargraph", "Spots left out", text, some, {"ylab": "Spots", "sort_samples": False})


def quantile_boxes(ended: list[Outcome]) -> dict:
    """Box plots of counts and genes per spot, from five numbers each."""
    keys = ("min", "q1", "median", "q3", "max")
    titles = {"total_counts": "Counts per spot", "n_genes_by_counts": "Genes per spot"}
    data = [
        {
            name: dict(zip(keys, getattr(summary.quantiles, metric), strict=True))
            for name, summary in finished_sections(ended)
        }
        for metric in titles
    ]
    labels = [{"name": title, "ylab": title} for title in titles.values()]
    settings = {"data_labels": labels, "boxpoints": False, "sort_samples": False}
    text = "Box: quartiles; whiskers: smallest and largest spot."
    return plot("boxplot", "Counts and genes per spot", text, data if data[0] else [], settings)


def composition_bars(ended: list[Outcome], common: bool = False) -> dict:
    """Share of each domain, in the sections' colours. common: whether a domain is the same in all sections."""
    data = {name: _shares_of_spots(summary.composition) for name, summary in finished_sections(ended)}
    domains = in_order({domain for _, summary in finished_sections(ended) for domain in summary.composition})
    names = {f"Domain {domain}": domain_colour(int(domain)) for domain in domains}
    colours = {name: {"name": name, "color": colour} for name, colour in names.items()}
    settings = {"ylab": "% of spots", "cpswitch": False, "ymax": 100, "tt_decimals": 1, "sort_samples": False}
    text = "A domain is the same in all sections." if common else NUMBERED_EACH
    return plot("bargraph", "Domain composition", text, data, settings) | {"categories": colours}


def _shares_of_spots(spots: dict[str, int]) -> dict[str, float]:
    """The share of each domain in %, with the names that the report shows."""
    total = max(sum(spots.values()), 1)
    return {f"Domain {domain}": round(100 * count / total, 4) for domain, count in spots.items()}


def marker_map(ended: list[Outcome], profiles: Profiles | None) -> dict:
    """Expression of the most frequent markers in every domain of every section."""
    rows = {}
    if profiles:
        markers = [
            {domain: profiles.common_names(summary.sample, genes[:3]) for domain, genes in summary.top_markers.items()}
            for _, summary in finished_sections(ended)
        ]
        scores = marker_scores(profiles, markers, MARKER_GENES).round(2)
        scores.columns = [plot_text(gene) for gene in scores.columns]
        names = _profile_names(profiles)
        rows = dict(zip(names, scores.to_dict("records"), strict=True)) if len(scores.columns) else {}
    text = (
        "Rows: the domains of all sections; columns: the genes most often among the three best markers of a "
        "domain. Colour: counts per million of the domain (pseudo-bulk, log2) in standard deviations from the"
        " mean of all rows. Similar rows of different sections suggest the same tissue; a section whose "
        "rows resemble no others is an outlier."
    )
    settings = {"xcats_samples": False, "ycats_samples": False, "square": False, "min": -3, "max": 3, "colstops": HEAT}
    settings |= {"xlab": "Gene", "ylab": "Domain", "zlab": "z score", "display_values": False}
    settings["series_label"] = "domains"
    settings |= dict.fromkeys(("cluster_rows", "cluster_cols"), len(rows) <= CLUSTERED_ROWS)
    return plot("heatmap", "Markers in all domains", text, rows, settings)


def adjacency_map(ended: list[Outcome], common: bool = False) -> dict:
    """Which domains border on which, for each section. common: whether a domain is the same in all sections."""
    borders = {name: _shares_of_borders(summary.adjacency) for name, summary in finished_sections(ended)}
    shown = in_order({domain for of_section in borders.values() for pair in of_section for domain in pair})
    pairs = list(combinations(shown[:ADJACENT_DOMAINS], 2))
    rows = {
        name: {f"{one}–{other}": found.get((one, other)) for one, other in pairs}
        for name, found in borders.items()
        if pairs
    }
    text = (
        "Share of the borders in a section (touching pairs of spots of different domains) that lie between two "
        f"domains, of the first {ADJACENT_DOMAINS} that any section has; in %. White: the section lacks one of them. "
        "Layered tissue has few strong pairs in each row, others many weak ones. "
        f"{'' if common else 'Domains are numbered by size within each section. '}The sections' "
        "reports test the pairs."
    )
    settings = {"xcats_samples": False, "square": False, "min": 0, "colstops": BORDERS, "tt_decimals": 1}
    settings |= {"xlab": "Domains", "ylab": "Section", "zlab": "% of the borders", "display_values": False}
    settings |= {"cluster_rows": False, "cluster_cols": False, "series_label": "sections"}
    return plot("heatmap", "Which domains touch", text, rows, settings)


def _shares_of_borders(adjacency: Adjacency) -> dict[tuple[str, str], float]:
    """For each two different domains of a section its share of all borders, in %."""
    pairs, numbered = np.array(adjacency.pairs), list(enumerate(adjacency.domains))
    total = max(np.triu(pairs, 1).sum(), 1)
    return {
        (one, other): round(100 * float(pairs[row, column] / total), 1)
        for (row, one), (column, other) in permutations(numbered, 2)
    }


def profile_scatter(profiles: Profiles | None, groups: Mapping[str, str]) -> dict:
    """The domains of all sections by the first two components of their profiles."""
    data, share, key = {}, np.zeros(2), ""
    if profiles and len(set(profiles.samples)) > 1:
        places, share = principal_components(profiles)
        of_row = [groups.get(sample) or sample for sample in profiles.samples]
        kinds = list(dict.fromkeys(of_row))
        colours = {kind: domain_colour(number) for number, kind in enumerate(kinds, 1)}
        key = colour_key(colours) if len(kinds) <= GROUP_COLOURS else ""
        for name, kind, (x, y) in zip(_profile_names(profiles), of_row, places, strict=True):
            point = {"x": round(float(x), 3), "y": round(float(y), 3)}
            data[name] = point | (
                {"color": colours[kind], "group": plot_text(kind)} if len(kinds) <= GROUP_COLOURS else {}
            )
    text = (
        "Each point is a domain of a section: counts per million summed over its spots (log2), the most "
        "variable genes. The same tissue of different sections should lie together; a section whose points "
        "lie apart is an outlier or another batch. Colours: groups of the samplesheet where given, else "
        f"sections.{key}"
    )
    labels = [f"PC{number} ({part:.2f} of the variance)" for number, part in enumerate(share, 1)]
    settings = {"xlab": labels[0], "ylab": labels[1], "marker_size": 8, "series_label": "domains"}
    return plot("scatter", "Domains of the cohort", text, data, settings)


def _profile_names(profiles: Profiles) -> list[str]:
    """What a row of the profiles is called."""
    return [plot_text(f"{sample} {domain}") for sample, domain in zip(profiles.samples, profiles.domains, strict=True)]


def stability_bars(ended: list[Outcome]) -> dict:
    """How well the trainings of each section agree."""
    known = [(name, summary.efnst_stability) for name, summary in finished_sections(ended)]
    data = {name: {"Stability": value} for name, value in known if value is not None}
    settings = {"ylab": "mean ARI of pairs of trainings", "ymin": 0, "ymax": 1, "cpswitch": False}
    settings |= {"tt_decimals": 3, "sort_samples": False}
    text = (
        "How well trainings with different seeds agree: 1 means identical domains. Below about 0.6 the "
        "domains depend on the seed."
    )
    return plot("bargraph", "Stability", text, data, settings)


def training_lines(ended: list[Outcome]) -> dict:
    """Training curves, one tab per part of the loss."""
    finished = finished_sections(ended)
    parts = list(dict.fromkeys(part for _, summary in finished for part in summary.loss))
    parts.sort(key=lambda part: part != "total")
    data = [{name: summary.loss[part] for name, summary in finished if part in summary.loss} for part in parts]
    labels = [{"name": part, "ylab": part, "xlab": "Epoch"} for part in parts]
    settings = {"xlab": "Epoch", "ylab": parts[0] if parts else "", "data_labels": labels}
    text = "Loss by epoch. Where a curve still decreases at the end, more epochs may help."
    return plot("linegraph", "Training", text, data, settings)
