"""What the report of one section shows beside its maps: tables, curves and figures, by the names the template knows."""

import base64
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import anndata
import numpy as np
import pandas as pd
from PIL import Image

from efnst.image.picture import plain
from efnst.inputs.gene_kinds import KINDS
from efnst.names import CONFIDENCE, DOMAIN, METHOD_TITLES, PROVENANCE, SECTION
from efnst.palette import MISSING, VALUE_COLOURS, colours_of
from efnst.program.numbers import with_error
from efnst.provenance.citations import citations
from efnst.provenance.method_facts import counted
from efnst.quality.spots import LIMITED
from efnst.records.domains import Description, DomainsRecord, TrainingRecord
from efnst.records.encoder import licence_text
from efnst.records.quality import ImageQc
from efnst.records.section import Records
from efnst.reports.bins import bins_layer, name_domains_alike, width_of_named
from efnst.reports.maps import QC_LAYERS, View, map_data
from efnst.reports.summary import section_summary

SPATIAL_GENES = 200  # rows of that table; all are in spatial_genes.csv
METHODS = {  # filled with what the features are, and whether an image is among them
    DOMAIN: "{features}{image} and position, learned embedding",
    "diffused": "baseline: {components} smoothed over neighbouring spots; nothing learned, no image",
    "leiden": "baseline: Leiden on {components}; no position, no image",
}
WITH_IMAGE = MappingProxyType({"features": "expression", "components": "expression PCs", "image": ", image"})
SCORES = {  # key: name, whether higher is better, what it says
    "chaos": (
        "CHAOS",
        False,
        "mean distance to the nearest spot of the same domain, axes scaled to standard deviation 1",
    ),
    "pas": ("PAS", False, "share of spots with 6 or more of their 10 nearest spots in other domains"),
    "silhouette": ("silhouette", True, "separation of the domains in the embedding"),
    "ari": ("ARI", True, "adjusted Rand index with the given labels"),
    "ami": ("AMI", True, "adjusted mutual information with the given labels"),
    "nmi": ("NMI", True, "normalised mutual information with the given labels"),
    "homogeneity": ("homogeneity", True, "each domain holds one label"),
    "completeness": ("completeness", True, "each label lies in one domain"),
    "v_measure": ("V", True, "harmonic mean of homogeneity and completeness"),
}
BINS = 40  # of a histogram
SHOWN_MARKERS = 5  # of each domain in the table of domains


@dataclass(frozen=True)
class Tables:
    """What describe_domains wrote: markers.csv, spatial_genes.csv, umap.csv."""

    markers: pd.DataFrame
    spatial_genes: pd.DataFrame
    layout: pd.DataFrame | None = None


def report_context(
    data: anndata.AnnData,
    records: Records,
    view: View,
    image: Image.Image | None,
    tables: Tables,
    bins: anndata.AnnData | None = None,
) -> dict:
    """All that the template of the report shows, by the names it knows; `bins`: of read_bin_domains."""
    provenance = plain(data.uns[PROVENANCE])
    parameters = records.training.parameters | provenance["parameters"]
    summary = section_summary(data, records, parameters)
    if bins is not None:
        name_domains_alike(data, bins)
    maps = map_data(data, view, records.description, tables.layout)
    maps["bins"] = bins_layer(bins, view) | {"unitUm": width_of_named(data, bins)} if bins is not None else None
    return {
        "sample": summary.sample,
        "summary": summary,
        "page": _page(summary.sample, maps, image, tables),
        "has_image": image is not None,
        "bins": maps["bins"],
        "has_umap": maps["umap"] is not None,
        "n_umap": 0 if tables.layout is None else len(tables.layout),
        "n_spatial_genes": min(len(tables.spatial_genes), SPATIAL_GENES),
        "geometry": plain(data.uns[SECTION]),
        "parameters": parameters,
        "versions": provenance["versions"] | (records.features.versions if records.features else {}),
        "citations": citations(records, maps["umap"] is not None),
        **_of_records(records),
        **_tables_and_curves(data.obs, records),
    }


def _page(sample: str, maps: dict, image: Image.Image | None, tables: Tables) -> dict:
    """What the script of the page draws from."""
    return {
        "sample": sample,
        "maps": maps,
        "image": jpeg_uri(image) if image else "",
        "ramp": VALUE_COLOURS,
        "missing": MISSING,
        "markers": _table_rows(tables.markers),
        "spatialGenes": _table_rows(tables.spatial_genes.head(SPATIAL_GENES)),
    }


def _of_records(records: Records) -> dict:
    """The records that the template reads itself."""
    return {
        "qc": records.qc,
        "unknown_kinds": [name for kind, name in KINDS.items() if getattr(records.qc, f"median_pct_{kind}") is None],
        "image_qc": records.image_qc,
        "encoder": records.encoder,
        "licence": licence_text(records.encoder.declaration) if records.encoder else "",
        "domains": records.domains,
        "training": records.training,
        "reference": records.training.reference,
        "description": records.description,
        "choice": records.domains.choice,
    }


def _tables_and_curves(obs: pd.DataFrame, records: Records) -> dict:
    """What is worked out of the records."""
    return {
        "stains": stain_table(records.image_qc),
        "histograms": histograms(obs, records.qc.thresholds.plain()),
        "domain_rows": domain_table(obs, records.description),
        "dots": dot_plot(records.description),
        "adjacency": adjacency_table(records.description),
        "gene_sets": gene_set_rows(records.description),
        "scores": score_table(records.domains, _features(records)),
        "stability": stability_of(records.domains),
        "labels": label_table(records.domains),
        "partitions": partitions_in_words(records.domains),
        "with_error": with_error,
        "curves": training_curves(records.training),
        "number_curves": number_curves(records.domains),
    }


def _table_rows(table: pd.DataFrame) -> dict:
    """A table as JSON: its columns and its rows."""
    return {"columns": list(table.columns), "rows": table.to_numpy(dtype=object).tolist()}


def histograms(obs: pd.DataFrame, thresholds: dict) -> list[dict]:
    """One histogram per map of quality: heights from 0 to 1, the ends of the axis, median, and a limit on the axis.

    The axis ends at the 99.5th percentile; what lies beyond is counted in the last bar.
    """
    limits = {column: thresholds[name] for name, column in LIMITED.items() if name in thresholds}
    drawn = []
    for key, title in QC_LAYERS.items():
        values = obs[key].dropna().to_numpy(dtype=float) if key in obs else np.empty(0)
        if len(np.unique(values)) < 2:
            continue
        low, high = float(values.min()), float(np.quantile(values, 0.995))
        high = high if high > low else float(values.max())
        counts, _ = np.histogram(np.minimum(values, high), BINS, (low, high))
        bars = [round(float(count / counts.max()), 4) for count in counts]
        limit = limits.get(key)
        place = (limit - low) / (high - low) if limit is not None and low <= limit <= high else None
        row = {"key": key, "title": title, "bars": bars, "low": low, "high": high, "median": float(np.median(values))}
        drawn.append(row | {"most": int(counts.max()), "limit": limit, "limit_at": place})
    return drawn


def stain_table(image_qc: ImageQc | None) -> list[dict]:
    """The two stains, each with its density in red, green and blue, its strength and the colour of that much of it."""
    macenko = image_qc and image_qc.stain and image_qc.stain.macenko
    if not macenko:
        return []
    rows = []
    for name, vector, strength in zip(("haematoxylin", "eosin"), macenko.stains, macenko.concentrations, strict=True):
        colour = np.round(255 * 10 ** (-np.array(vector) * strength)).astype(int).tolist()
        rows.append(
            {"name": name, "density": vector, "strength": strength, "colour": "rgb({}, {}, {})".format(*colour)}
        )
    return rows


def domain_table(obs: pd.DataFrame, description: Description) -> list[dict]:
    """One row per domain: name, colour, spots, share, mean confidence, medians of quality, top markers."""
    domains = obs[DOMAIN].astype("category").cat.remove_unused_categories()  # those that only bins have
    colours = colours_of(domains.cat.categories)
    rows = []
    for name, colour in zip(domains.cat.categories, colours, strict=True):
        member = (domains == name).to_numpy()
        confidence = obs.loc[member, CONFIDENCE].mean()  # nan for a clustering without probabilities
        known = [key for key in QC_LAYERS if key in obs and key != CONFIDENCE and obs[key].notna().any()]
        medians = {key: float(obs.loc[member, key].median()) for key in known}
        markers = description.top_markers.get(str(name), [])[:SHOWN_MARKERS]
        spots = int(member.sum())
        row = {"name": str(name), "colour": colour, "spots": spots, "share": spots / len(obs), "medians": medians}
        rows.append(row | {"confidence": float(confidence) if pd.notna(confidence) else None, "markers": markers})
    return rows


def dot_plot(description: Description) -> dict:
    """Genes, and each domain's dots: fraction of spots, mean, and the colour of the mean over the gene's largest."""
    plot = description.dot_plot
    if not plot.genes:
        return {"genes": [], "rows": []}
    mean = np.array(plot.mean, dtype=float)
    top = mean.max(axis=0, initial=0)
    scaled = np.divide(mean, top, out=np.zeros_like(mean), where=top > 0)
    rows = []
    for name, shares, values, levels in zip(
        description.adjacency.domains, plot.fraction, plot.mean, scaled, strict=True
    ):
        dots = [
            {"fraction": share, "mean": value, "colour": VALUE_COLOURS[round(level * (len(VALUE_COLOURS) - 1))]}
            for share, value, level in zip(shares, values, levels, strict=True)
        ]
        rows.append({"domain": name, "dots": dots})
    return {"genes": plot.genes, "rows": rows}


def adjacency_table(description: Description) -> list[dict]:
    """Rows of the domain x domain tables: pairs, enrichment, z score, connectivity in the embedding (None: not known),
    and a shade from -1 (avoided) to 1 (sought)."""
    adjacency = description.adjacency
    unknown = [[None] * len(adjacency.domains)] * len(adjacency.domains)
    columns = (adjacency.pairs, adjacency.enrichment, adjacency.z_score, adjacency.connectivity or unknown)
    rows = []
    for name, *values in zip(adjacency.domains, *columns, strict=True):
        cells = [
            {"pairs": pairs, "enrichment": enrichment, "z": z, "shade": _shade(z), "connectivity": connectivity}
            for pairs, enrichment, z, connectivity in zip(*values, strict=True)
        ]
        rows.append({"name": name, "cells": cells})
    return rows


def _shade(z: float | None) -> float:
    """A z score as -1…1: nothing within ±2, in full from ±30, by the logarithm between."""
    if z is None or abs(z) < 2:
        return 0.0
    return float(np.sign(z) * min(np.log(abs(z)) / np.log(30), 1))


def gene_set_rows(description: Description) -> list[dict]:
    """Rows of the table of gene sets: a name, and in each domain the activity with a shade from -1 to 1."""
    found = description.gene_sets
    if found is None:
        return []
    activity = np.array(found.activity)
    shades = activity / max(np.abs(activity).max(), 1e-9)
    return [
        {"name": name, "cells": [{"activity": float(a), "shade": float(s)} for a, s in zip(values, shade, strict=True)]}
        for name, values, shade in zip(found.names, activity.T, shades.T, strict=True)
    ]


def _features(records: Records) -> dict[str, str]:
    """What `METHODS` are filled with."""
    parameters = (records.training.reference or records.training).parameters
    has_image, given = records.training.image, parameters.get("expression_rep")
    return {
        "features": f"features given ({given})" if given else "expression",
        "components": f"components of {given}" if given else "expression PCs",
        "image": ", image" if has_image and parameters.get("image_fusion") != "none" else "",
    }


def score_table(domains: DomainsRecord, features: Mapping[str, str] = WITH_IMAGE) -> dict:
    """Scores of the three methods, and which is best in each column; `features` fill `METHODS`."""
    methods = {key: domains.methods[key] for key in METHODS if key in domains.methods}
    shown = [key for key in SCORES if any(getattr(method, key) is not None for method in methods.values())]
    best = {}
    for score in shown:
        values = {key: value for key, method in methods.items() if (value := getattr(method, score)) is not None}
        choose = max if SCORES[score][1] else min
        top = choose(values.values())
        best[score] = [key for key, value in values.items() if value == top and len(set(values.values())) > 1]
    return {
        "columns": [dict(zip(("name", "up", "help"), SCORES[key], strict=True)) for key in shown],
        "rows": [
            {"name": METHOD_TITLES[key], "what": METHODS[key].format(**features), "key": key}
            | {"n_domains": method.n_domains, "how": method.how}
            | {"scores": [{"value": getattr(method, score), "best": key in best[score]} for score in shown]}
            for key, method in methods.items()
        ],
    }


def stability_of(domains: DomainsRecord) -> dict | None:
    """How well several trainings agree, mean and standard deviation of each one's ARI, of bins and cells also that of
    all together, by units as each one's is; None for one training."""
    method = domains.methods[DOMAIN]
    if method.stability is None:
        return None
    alone = method.ari_of_runs or None
    figures = {"n_runs": method.n_runs, "stability": method.stability, "runs": alone, "by_units": method.ari_of_units}
    return figures | {"alone": float(np.mean(alone)) if alone else None, "spread": float(np.std(alone)) if alone else 0}


def partitions_in_words(domains: DomainsRecord) -> str:
    """What could vote: `4 trainings and 6 views without a network`."""
    counts = Counter(member.kind for member in domains.evidence.members)
    parts = {kind: counted(counts[kind], kind) for kind in ("training", "view") if counts[kind]}
    parts |= {"view": f"{parts['view']} without a network"} if "view" in parts else {}
    return " and ".join(parts.values())


def label_table(domains: DomainsRecord) -> dict[str, list]:
    """`columns`, the EfNST domains of what was scored with their colours, and a row for each label: its best match, and
    its spots in each of these domains with their share of the label."""
    method = domains.methods[DOMAIN]
    if method.confusion is None:
        return {"columns": [], "rows": []}
    names, counts = method.confusion.index, np.array(method.confusion.data)
    columns = [{"name": name, "colour": colour} for name, colour in zip(names, colours_of(names), strict=True)]
    rows = []
    for match, spots in zip(method.best_matches, counts.T, strict=True):
        total = max(int(spots.sum()), 1)
        rows.append(match.plain() | {"cells": [{"spots": int(n), "share": float(n / total)} for n in spots]})
    return {"columns": columns, "rows": rows}


def training_curves(training: TrainingRecord, width: int = 260, height: int = 110) -> list[dict]:
    """One small line chart per part of the loss."""
    return [
        {"part": part, "epochs": len(values)} | _line(values, 0, width, height)
        for part, values in training.loss.items()
    ]


def number_curves(domains: DomainsRecord) -> list[dict]:
    """Two small line charts over the numbers of domains tried, `mark` at the one chosen; none where it was given."""
    if domains.choice is None:
        return []
    curve = domains.choice.curve.plain()
    numbers = curve["n_domains"]
    position = numbers.index(domains.choice.n_domains)
    parts = {"Stability (ARI between fits)": "stability", "Gain on places left out (log-likelihood a spot)": "gain"}
    return [
        {"part": part, "tried": numbers, "chosen": curve[column][position]} | _line(curve[column], position)
        for part, column in parts.items()
    ]


def _line(values: list[float], position: int = 0, width: int = 260, height: int = 110) -> dict:
    """A line chart: its SVG points, the ends of its axis, and x and y of the value at `position` as `mark`."""
    values = np.asarray(values, dtype=float)
    low, high = float(values.min()), float(values.max())
    x = np.linspace(0, width, len(values)) if len(values) > 1 else np.full(len(values), width / 2)
    y = height - (values - low) / ((high - low) or 1) * height
    points = [f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True)]
    mark = points[position].split(",")
    return {"points": " ".join(points), "low": low, "high": high, "last": float(values[-1]), "mark": mark}


def jpeg_uri(image: Image.Image) -> str:
    """The image as a data URI."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
