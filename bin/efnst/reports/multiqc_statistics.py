"""Parts of the MultiQC report about domains that all sections share. What comes from data is HTML-escaped."""

from collections.abc import Iterator
from html import escape

import numpy as np
import pandas as pd

from efnst.palette import domain_colour
from efnst.reports.cohort_statistics import Statistics
from efnst.reports.multiqc_elements import THREE_DIGITS, WHOLE, colour_key, header, html_section, plot, plot_text, table
from efnst.reports.multiqc_plots import GROUP_COLOURS, HEAT
from efnst.reports.point_picture import points_uri
from efnst.statistics.covariates import GROUP
from efnst.statistics.embedding import SharedSpots
from efnst.statistics.proportions import in_order

SHOWN_TESTS = 30  # rows of a table; all are in the file
SHOWN_MARKERS = 10  # of each domain
SHOWN_SETS = 5  # of each domain
TESTS = {
    "domain": header("Domain", "Domain whose share is tested", None),
    "covariate": header("Covariate", "Column of the samplesheet", None),
    "levels": header("Levels", "Levels with their samples, or the range of numbers", None),
    "test": header("Test", "Of the centred log-ratios of the shares", None),
    "n_samples": header("Samples", "Samples with a value", WHOLE),
    "n_failed": header("Failed", "Of these, samples with the status fail or error", WHOLE),
    "higher_in": header(
        "Higher in", "Level in which the share ranks highest; of numbers, whether it is where they are larger", None
    ),
    "p_value": header("p", "Two-sided p value", "{:,.2g}"),
    "p_adjusted": header("p adjusted", "Benjamini and Hochberg, over all tests", "{:,.2g}", "Greens-rev"),
    "smallest_p": header("Smallest p", "What complete separation would give with so many samples", "{:,.2g}"),
}
MIXING = {
    "n_batches": header("Batches", "Values of this column", WHOLE),
    "silhouette": header("Silhouette", "By batch: near 0 or below where batches mix", THREE_DIGITS, "Oranges"),
    "ilisi": header("iLISI", "Median number of batches around a spot", "{:,.2f}", "Greens"),
    "ilisi_scaled": header("iLISI, scaled", "0: one batch; 1: all of them", THREE_DIGITS, "Greens"),
}
MARKERS = {
    "genes": header("Markers", "Gene (samples in which it is a marker with an adjusted p below 0.05)", None),
    "n_samples_tested": header("Samples", "Samples with markers of this domain", WHOLE),
}


def statistics_contents(statistics: Statistics | None) -> dict[str, dict]:
    """MultiQC content about common domains, by name; parts without data have empty `data`."""
    if statistics is None or not statistics.common:
        return {}
    return {
        "umap": umap_pictures(statistics.spots, statistics.covariates),
        "mixing": _mixing_rows(statistics.mixing),
        "tests": _test_rows(statistics.tests),
        "shared_markers": _marker_rows(statistics.markers),
        "gene_sets": gene_set_map(statistics.gene_sets),
    }


def domain_key(statistics: Statistics | None) -> str:
    """The colours of the domains as HTML, empty where they are not common to all sections."""
    if statistics is None or not statistics.common:
        return ""
    return colour_key(_domain_colours(set(statistics.proportions["domain"])))


def umap_pictures(spots: SharedSpots | None, covariates: pd.DataFrame) -> dict:
    """UMAP of a few spots of every section, coloured by domain beside by group or section."""
    html = ""
    if spots is not None:
        layout = spots.layout(seed=0)
        batch, what = _batches(spots, covariates)
        kinds = list(dict.fromkeys(batch))
        of_batch = {kind: domain_colour(1 + place % GROUP_COLOURS) for place, kind in enumerate(kinds)}
        panels = _panel(layout, spots.domains, _domain_colours(set(spots.domains)), "By domain")
        panels += _panel(layout, batch, of_batch, f"By {what}")
        html = f'<div style="display:flex;flex-wrap:wrap;gap:24px">{panels}</div>'
    text = (
        "UMAP of the embedding, of as many spots of each section. Domains should lie apart, and sections mix within "
        "them; distances between islands mean little."
    )
    return html_section("UMAP of the cohort", text, html)


def _panel(layout: np.ndarray, kinds: np.ndarray, colours: dict[str, str], title: str) -> str:
    """One picture as HTML, with a key where its kinds can be told apart by colour."""
    picture = points_uri(layout, np.array([colours[kind] for kind in kinds]))
    repeated = f"<p>{len(colours)} sections; colours are repeated.</p>"
    key = colour_key(colours) if len(colours) <= GROUP_COLOURS else repeated
    image = f'<img loading="lazy" alt="UMAP, {title.lower()}" src="{picture}" style="width:100%">'
    return f'<div style="flex:1 1 320px;max-width:520px"><b>{title}</b>{key}{image}</div>'


def _domain_colours(domains: set[str]) -> dict[str, str]:
    """The colour of each domain, in their order: by its number, or for a name by its place."""
    placed = enumerate(in_order(domains), 1)
    return {name: domain_colour(int(name) if name.isdecimal() else place) for place, name in placed}


def _batches(spots: SharedSpots, covariates: pd.DataFrame) -> tuple[np.ndarray, str]:
    """What spots are coloured by beside domains: the group of the samplesheet where all have one, else the section."""
    groups = covariates[GROUP].reindex(spots.samples) if GROUP in covariates else pd.Series([None])
    return (groups.to_numpy(dtype=str), "group") if groups.notna().all() else (spots.samples, "section")


def _mixing_rows(mixing: pd.DataFrame | None) -> dict:
    """How well batches mix."""
    rows = {} if mixing is None else {escape(row.pop("batch")): row for row in mixing.to_dict("records")}
    text = (
        "How well sections, and the levels of the samplesheet's columns, mix in the embedding. Batches of different "
        "tissue do not mix, and need not: look at the UMAP and the proportions, too."
    )
    return table("Mixing", text, rows, MIXING) | {"pconfig": _settings("Mixing", "Batch")}


def _settings(name: str, first: str) -> dict:
    """The settings of a table whose rows are no samples."""
    return table(name, "", {}, {})["pconfig"] | {"col1_header": first}


def _test_rows(tests: pd.DataFrame | None) -> dict:
    """The tests with the smallest p values."""
    found = [] if tests is None else tests.head(SHOWN_TESTS).to_dict("records")
    rows = {str(number): {key: _escaped(row[key]) for key in TESTS} for number, row in enumerate(found, 1)}
    text = (
        f"Does the share of a domain go with a column of the samplesheet? The first {SHOWN_TESTS} tests; all are in "
        "domain_tests.csv. Each section counts as one sample: several of one patient are no independent samples. "
        "Where the smallest reachable p is above 0.05, so few samples cannot show anything; shares add up to 1, so "
        "that one domain's gain is another's loss."
    )
    return table("Domains and covariates", text, rows, TESTS) | {"pconfig": _settings("Domains and covariates", "No.")}


def _escaped(value: object) -> object:
    """Text as HTML shows it; anything else as it is."""
    return escape(value) if isinstance(value, str) else value


def _marker_rows(markers: pd.DataFrame | None) -> dict:
    """The best markers of each domain that are significant in two samples, or in the only one."""
    rows = {}
    for domain, found in _by_domain(markers):
        best = found[found["n_significant"] >= found["n_samples_tested"].clip(upper=2)].head(SHOWN_MARKERS)
        counted = zip(best["gene"], best["n_significant"], strict=True)
        rows[f"Domain {escape(domain)}"] = {
            "genes": ", ".join(f"{escape(str(gene))} ({count})" for gene, count in counted) or "–",
            "n_samples_tested": int(found["n_samples_tested"].iloc[0]),
        }
    text = (
        "Markers with an adjusted p value below 0.05 in two sections or more, by their mean rank over the sections, "
        "and in how many they have it; all, and those with a larger p value, are in shared_markers.csv."
    )
    return table("Markers that hold", text, rows, MARKERS) | {"pconfig": _settings("Markers that hold", "Domain")}


def gene_set_map(gene_sets: pd.DataFrame | None) -> dict:
    """The mean activity of the most active gene sets in all domains."""
    rows = {}
    if gene_sets is not None and len(gene_sets):
        best = dict.fromkeys(name for _, found in _by_domain(gene_sets) for name in found["gene_set"].head(SHOWN_SETS))
        wide = gene_sets.pivot(index="domain", columns="gene_set", values="mean_activity")
        shown = wide.loc[in_order(set(wide.index)), list(best)].round(2)
        shown.columns = [plot_text(name) for name in shown.columns]
        rows = {plot_text(f"Domain {domain}"): row.dropna().to_dict() for domain, row in shown.iterrows()}
    text = (
        "Mean over the sections of the t value of a set's genes against all others, in the domain's mean z scores "
        "(decoupler's ulm); the most active sets of each domain. All are in shared_gene_sets.csv."
    )
    settings = {"xcats_samples": False, "ycats_samples": False, "square": False, "colstops": HEAT}
    settings |= {"xlab": "Gene set", "ylab": "Domain", "zlab": "activity", "display_values": False, "tt_decimals": 1}
    settings["series_label"] = "domains"
    limit = max((abs(value) for row in rows.values() for value in row.values()), default=1)
    settings |= {"min": -limit, "max": limit, "cluster_rows": False, "cluster_cols": False}
    return plot("heatmap", "Gene sets", text, rows, settings)


def _by_domain(found: pd.DataFrame | None) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each domain, in the order of a table."""
    return iter(found.groupby("domain", sort=False)) if found is not None and len(found) else iter(())
