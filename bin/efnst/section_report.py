"""What the report of one section shows: map layers, tables, warnings, methods text, thumbnail and summary row."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from efnst.constants import BASELINES, CONFIDENCE, DOMAIN, LABEL, PROVENANCE, SECTION, SPATIAL
from efnst.markers import log_normalised
from efnst.palette import MISSING, VALUE_COLOURS, division_colours, domain_colours
from efnst.picture import MAX_IMAGE_PX, image_path, plain, small_image
from efnst.program import read_json

THUMBNAIL_PX = 260  # height of the thumbnail
THUMBNAIL_BYTES = 16_000
LOSS_POINTS = 100  # points of each training curve
SPATIAL_GENES = 200  # rows of that table; all are in spatial_genes.csv
METHODS = {
    DOMAIN: ("EfNST", "expression, image and position, learned embedding"),
    "diffused": ("diffused", "baseline: expression PCs smoothed over neighbouring spots; nothing learned, no image"),
    "leiden": ("leiden", "baseline: Leiden on expression PCs; no position, no image"),
}
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
QC_LAYERS = {
    "total_counts": "Total counts",
    "n_genes_by_counts": "Genes",
    "pct_counts_mt": "% mitochondrial",
    CONFIDENCE: "Confidence of the domain",
}
METHODS_TEXT = {  # one sentence per topic, filled with the parameters that ran
    "quality": "Spots with at least {min_counts_per_spot} counts and {min_genes_per_spot} genes, and at most "
    "{max_pct_mt} % mitochondrial counts were kept.",
    "image": "Square patches of {patch_um} µm around each spot were taken from the {image_source} image; {encoder} "
    "described them, run in {precision} on {encoder_device}, reduced to at most {image_pcs} principal components.",
    "expression": "Counts were normalised by library size and log-transformed; the {n_genes_used} most spatially "
    "variable genes were reduced to at most {expression_pcs} principal components.",
    "augmentation": "Each spot borrowed expression from its {n_neighbours} most similar neighbours (weight "
    "{augmentation}).",
    "network": "A denoising autoencoder with a variational graph autoencoder inside was trained {n_seeds} times, for "
    "up to {epochs} epochs, on a graph of neighbouring spots (seed {seed}, {device}); the embedding of a training "
    "joins what it decoded to the features diffused over the graph.",
    "number": "The number of domains was not given; of 2 to {most_domains_tried}, the one was taken whose domains are "
    "most stable when whole blocks of the section are left out, between the elbow of the log-likelihood of those "
    "blocks and 85 % of its best gain.",
    "domains": "Each embedding was divided into {n_domains_asked} domains ({clustering}), refined over neighbouring "
    "spots in {refinement_rounds} rounds; the domains are the consensus of all trainings.",
    "genes": "Marker genes: Wilcoxon rank-sum test of each domain against all other spots, tie-corrected, on "
    "log-normalised counts. Spatially variable genes: Moran's I over touching spots. p values were adjusted by "
    "Benjamini and Hochberg; the domains were found in the same counts, so the markers' p values serve to rank genes.",
}


@dataclass(frozen=True)
class Records:
    """What the earlier steps wrote about one section; None where a step did not run."""

    qc: dict
    domains: dict
    training: dict
    description: dict
    image_qc: dict | None = None
    features: dict | None = None
    encoder: dict | None = None


@dataclass(frozen=True)
class View:
    """The plane the maps are drawn in: pixels of the embedded image, or of the array where there is no image."""

    width: float
    height: float
    xy: np.ndarray  # float64 [n_spots, 2]
    pitch: float
    spot_diameter: float
    um_per_px: float
    cell: np.ndarray  # float64 [4 or 6, 2]: outline around a spot that fills the plane
    window: tuple[float, float, float, float]  # x0, y0, x1, y1 around the spots


def read_records(**paths: Path | None) -> Records:
    """Read the JSON files of the earlier steps, named as the members of `Records`."""
    return Records(**{name: read_json(path) if path else None for name, path in paths.items()})


def read_picture(data: anndata.AnnData, folder: Path, image: Path | None) -> Image.Image | None:
    """The small H&E image of the section, None if it has none; `image`: its full-resolution file, where used."""
    section = plain(data.uns[SECTION])
    path = image_path(section, folder, image)
    return small_image(path, section) if path else None


def section_view(data: anndata.AnnData, image: Image.Image | None) -> View:
    """Place the spots on the small image, or on a plane of their own."""
    section, spatial = plain(data.uns[SECTION]), data.obsm[SPATIAL]
    pitch = float(section["pitch_px"])
    if image:
        scale = float(section["image"]["scale"]) * image.width / float(section["image"]["width"])
        origin = np.zeros(2)
        width, height = image.size
    else:
        extent = np.ptp(spatial, axis=0) + 2 * pitch
        scale = MAX_IMAGE_PX / extent.max()
        origin = spatial.min(axis=0) - pitch
        width, height = extent * scale
    xy = (spatial - origin) * scale
    margin = 1.5 * pitch * scale
    low, high = xy.min(axis=0) - margin, xy.max(axis=0) + margin
    return View(
        width=float(width),
        height=float(height),
        xy=xy,
        pitch=pitch * scale,
        spot_diameter=float(section["spot_diameter_px"]) * scale,
        um_per_px=float(section["um_per_px"]) / scale,
        cell=cell_outline(spatial, pitch, section["grid"]) * scale,
        window=(float(low[0]), float(low[1]), float(high[0]), float(high[1])),
    )


def cell_outline(spatial: np.ndarray, pitch: float, grid: str) -> np.ndarray:
    """Corners of the hexagon or square around a spot that fills the plane, turned as the grid lies: [n_corners, 2]."""
    n_corners = 4 if grid == "square" else 6
    sample = spatial[np.linspace(0, len(spatial) - 1, min(len(spatial), 500)).astype(int)]
    turns = []
    for spot in sample:
        offset = spatial - spot
        distance = np.hypot(*offset.T)
        x, y = offset[(distance > 0.5 * pitch) & (distance < 1.2 * pitch)].T
        turns.append(np.exp(1j * n_corners * np.arctan2(y, x)))
    turns = np.concatenate(turns)
    towards_neighbour = np.angle(turns.sum()) / n_corners if len(turns) else 0.0
    corners = towards_neighbour + (np.arange(n_corners) + 0.5) * 2 * np.pi / n_corners
    return pitch / 2 / np.cos(np.pi / n_corners) * np.column_stack([np.cos(corners), np.sin(corners)])


def report_context(
    data: anndata.AnnData,
    records: Records,
    view: View,
    image: Image.Image | None,
    markers: pd.DataFrame,
    spatial_genes: pd.DataFrame,
) -> dict:
    """All that the template of the report shows, by the names it knows."""
    geometry, provenance = plain(data.uns[SECTION]), plain(data.uns[PROVENANCE])
    parameters = records.training["parameters"] | provenance["parameters"]
    summary = section_summary(data, records, parameters)
    return {
        "sample": summary["sample"],
        "summary": summary,
        "maps": map_data(data, view, records.description),
        "image": jpeg_uri(image) if image else "",
        "ramp": VALUE_COLOURS,
        "missing": MISSING,
        "geometry": geometry,
        "domains": records.domains,
        "training": records.training,
        "description": records.description,
        "domain_rows": domain_table(data.obs, records.description),
        "adjacency": adjacency_table(records.description),
        "scores": score_table(records.domains),
        "stability": stability_of(records.domains),
        "label_rows": label_table(records.domains),
        "curves": training_curves(records.training),
        "choice": records.domains.get("choice"),
        "number_curves": number_curves(records.domains),
        "markers": _table_rows(markers),
        "spatial_genes": _table_rows(spatial_genes.head(SPATIAL_GENES)),
        "parameters": parameters,
        "versions": provenance["versions"] | (records.features or {}).get("versions", {}),
    }


def _table_rows(table: pd.DataFrame) -> dict:
    """A table as JSON: its columns and its rows."""
    return {"columns": list(table.columns), "rows": table.to_numpy(dtype=object).tolist()}


def map_data(data: anndata.AnnData, view: View, description: dict) -> dict:
    """Everything the maps of the report need, ready for JSON."""
    layers = [(key, title) for key, title in QC_LAYERS.items() if key in data.obs and data.obs[key].notna().any()]
    return {
        "width": round(view.width, 1),
        "height": round(view.height, 1),
        "window": [round(value, 1) for value in view.window],
        "x": np.round(view.xy[:, 0], 1).tolist(),
        "y": np.round(view.xy[:, 1], 1).tolist(),
        "pitch": view.pitch,
        "radius": view.spot_diameter / 2,
        "umPerPx": view.um_per_px,
        "cell": np.round(view.cell, 2).tolist(),
        "barcodes": data.obs_names.tolist(),
        "divisions": divisions(data.obs),
        "values": [_value_layer(key, title, data.obs[key]) for key, title in layers],
        "genes": gene_layers(data, description),
    }


def divisions(obs: pd.DataFrame) -> list[dict]:
    """The divisions of the spots that can be compared: EfNST, the baselines, the given labels."""
    titles = {DOMAIN: "EfNST", "diffused": "Baseline: diffused", "leiden": "Baseline: leiden", LABEL: "Given labels"}
    domains = obs[DOMAIN].astype("category").array
    layers = []
    for key, title in titles.items():
        if key not in obs or obs[key].isna().all():
            continue
        groups = obs[key].astype("category").array
        colours = division_colours(groups, domains, is_numbered=key != LABEL)
        names = groups.categories.astype(str).tolist()
        codes = groups.codes.astype(int).tolist()
        layers.append({"key": key, "title": title, "names": names, "colours": colours, "codes": codes})
    return layers


def gene_layers(data: anndata.AnnData, description: dict) -> list[dict]:
    """Normalised expression of the genes worth a map, as 256 levels: the top spatial genes and each domain's best."""
    best = {genes[0]: f"marker of domain {domain}" for domain, genes in description["top_markers"].items() if genes}
    why = {gene: "spatially variable" for gene in description["top_spatial_genes"][:8]} | best
    expression = log_normalised(data.X)
    layers = []
    for gene, reason in why.items():
        values = expression[:, [data.var_names.get_loc(gene)]].toarray().ravel()
        top = float(np.quantile(values, 0.995)) or float(values.max()) or 1.0
        levels = np.round(255 * np.minimum(values / top, 1)).astype(np.uint8)
        text = base64.b64encode(levels.tobytes()).decode()
        layers.append({"key": f"gene {gene}", "title": gene, "why": reason, "high": round(top, 3), "levels": text})
    return layers


def _value_layer(key: str, title: str, column: pd.Series) -> dict:
    """One continuous map; its colours run from the 1st to the 99th percentile."""
    values = column.to_numpy(dtype=float)
    low, high = (float(f"{value:.4g}") for value in np.nanquantile(values, [0.01, 0.99]))
    shown = [None if np.isnan(value) else float(f"{value:.4g}") for value in values]
    return {"key": key, "title": title, "low": low, "high": high, "values": shown}


def domain_table(obs: pd.DataFrame, description: dict) -> list[dict]:
    """One row per domain: name, colour, spots, share, mean confidence, top markers."""
    domains = obs[DOMAIN].astype("category")
    colours = domain_colours(len(domains.cat.categories))
    rows = []
    for name, colour in zip(domains.cat.categories, colours, strict=True):
        member = (domains == name).to_numpy()
        confidence = obs.loc[member, CONFIDENCE].mean()  # nan for a clustering without probabilities
        markers = description["top_markers"].get(str(name), [])
        spots = int(member.sum())
        row = {"name": str(name), "colour": colour, "spots": spots, "share": spots / len(obs)}
        rows.append(row | {"confidence": float(confidence) if pd.notna(confidence) else None, "markers": markers})
    return rows


def adjacency_table(description: dict) -> list[dict]:
    """Rows of the domain x domain table: pairs, enrichment, and a shade from -1 (avoided) to 1 (sought)."""
    adjacency = description["adjacency"]
    rows = []
    for name, pairs, enrichment in zip(*(adjacency[key] for key in ("domains", "pairs", "enrichment")), strict=True):
        cells = [{"pairs": n, "enrichment": e, "shade": _shade(e)} for n, e in zip(pairs, enrichment, strict=True)]
        rows.append({"name": name, "cells": cells})
    return rows


def _shade(enrichment: float | None) -> float:
    """log2 enrichment, cut at 8 times, as -1…1."""
    if enrichment is None:
        return 0.0
    return float(np.clip(np.log2(max(enrichment, 1e-6)) / 3, -1, 1))


def score_table(domains: dict) -> dict:
    """Scores of the three methods, and which is best in each column."""
    methods = {key: domains["methods"][key] for key in METHODS if key in domains["methods"]}
    shown = [key for key in SCORES if any(method.get(key) is not None for method in methods.values())]
    best = {}
    for score in shown:
        values = {key: method[score] for key, method in methods.items() if method.get(score) is not None}
        choose = max if SCORES[score][1] else min
        top = choose(values.values())
        best[score] = [key for key, value in values.items() if value == top and len(set(values.values())) > 1]
    return {
        "columns": [dict(zip(("name", "up", "help"), SCORES[key], strict=True)) for key in shown],
        "rows": [
            {"name": METHODS[key][0], "what": METHODS[key][1], "key": key, "n_domains": method["n_domains"]}
            | {"how": method["how"]}
            | {"scores": [{"value": method.get(score), "best": key in best[score]} for score in shown]}
            for key, method in methods.items()
        ],
    }


def stability_of(domains: dict) -> dict | None:
    """How well several trainings agree, and mean and standard deviation of each one's ARI; None for one training."""
    method = domains["methods"][DOMAIN]
    if "stability" not in method:
        return None
    alone = method.get("ari_of_runs") or None
    figures = {"n_runs": method["n_runs"], "stability": method["stability"]}
    return figures | {"alone": float(np.mean(alone)) if alone else None, "spread": float(np.std(alone)) if alone else 0}


def label_table(domains: dict) -> list[dict]:
    """One row per label: its best match, and its spots in each EfNST domain with their share of the label."""
    method = domains["methods"][DOMAIN]
    if "confusion" not in method:
        return []
    counts = np.array(method["confusion"]["data"])
    rows = []
    for match, spots in zip(method["best_matches"], counts.T, strict=True):
        total = max(int(spots.sum()), 1)
        rows.append(match | {"cells": [{"spots": int(n), "share": float(n / total)} for n in spots]})
    return rows


def training_curves(training: dict, width: int = 260, height: int = 110) -> list[dict]:
    """One small line chart per part of the loss."""
    return [
        {"part": part, "epochs": len(values)} | _line(values, 0, width, height)
        for part, values in training["loss"].items()
    ]


def number_curves(domains: dict) -> list[dict]:
    """Two small line charts over the numbers of domains tried, `mark` at the one chosen; none where it was given."""
    if "choice" not in domains:
        return []
    curve = domains["choice"]["curve"]
    numbers = curve["n_domains"]
    position = numbers.index(domains["choice"]["n_domains"])
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
    row = {"sample": qc["sample"], "status": "warn" if warnings else "pass", "warnings": warnings}
    row |= {key: qc[key] for key in counted}
    row |= {key: domains[key] for key in ("n_domains_asked", "n_domains_found")}
    row["image_source"] = str(data.uns[SECTION]["image"]["source"])
    methods = [method for method in (DOMAIN, *reversed(BASELINES)) if method in domains["methods"]]
    for score in ("chaos", "pas", "silhouette"):
        row |= {f"{method}_{score}": domains["methods"][method].get(score) for method in methods}
    row |= {f"ari_{m}": domains["methods"][m]["ari"] for m in methods if domains["methods"][m].get("ari") is not None}
    row |= {"device": training["device"], "seconds": training["seconds"]}
    row["spots_per_second"] = (records.features or {}).get("spots_per_second")
    row["methods"] = {method: method_figures(domains["methods"][method]) for method in methods}
    shares = data.obs[DOMAIN].value_counts(normalize=True, sort=False)
    return row | {
        "composition": {str(name): round(float(share), 6) for name, share in shares.items()},
        "lost": qc["lost"],
        "quantiles": qc["quantiles"],
        "top_markers": {domain: genes[:5] for domain, genes in records.description["top_markers"].items()},
        "loss": {part: thinned(values) for part, values in training["loss"].items()},
        "methods_text": methods_text(records, parameters, row["image_source"]),
    }


def method_figures(method: dict) -> dict:
    """The figures of one method, without its tables."""
    return {key: value for key, value in method.items() if isinstance(value, int | float | str) or value is None}


def thinned(values: list[float]) -> list[list[float]]:
    """At most `LOSS_POINTS` pairs of epoch (from 1) and value, the first and the last among them."""
    epochs = np.unique(np.linspace(0, len(values) - 1, min(len(values), LOSS_POINTS)).astype(int))
    return [[int(epoch) + 1, float(f"{values[epoch]:.5g}")] for epoch in epochs]


def methods_text(records: Records, parameters: dict, image_source: str) -> dict[str, str]:
    """The methods as one sentence per topic, with the values that really ran; left out where a value is unknown."""
    training, domains = records.training, records.domains
    given = parameters | {"image_source": image_source} | records.qc.get("thresholds", {})
    given |= {key: training[key] for key in ("seed", "device", "epochs", "n_genes_used")}
    given |= {key: domains[key] for key in ("clustering", "refinement_rounds", "n_domains_asked")}
    if "choice" in domains:
        given["most_domains_tried"] = max(domains["choice"]["curve"]["n_domains"])
    if records.image_qc:
        given["patch_um"] = ", ".join(f"{patch['patch_um']:g}" for patch in records.image_qc["patches"])
    if records.encoder:
        given |= {"encoder": _encoder_named(records.encoder), "encoder_device": _device_named(records.features)}
        given["precision"] = records.features["precision"]
    sentences = METHODS_TEXT | ({"image": "No image was used."} if image_source == "none" else {})
    return {topic: text for topic, sentence in sentences.items() if (text := _filled(sentence, given))}


def _encoder_named(encoder: dict) -> str:
    """The encoder and its weights."""
    weights = "ImageNet weights" if "output" in encoder else f"the weights of {encoder['weights']['file']}"
    return f"{encoder['encoder']} with {weights}"


def _device_named(features: dict) -> str:
    """Where the encoder ran, and what of it that device left to the CPU."""
    left = ", ".join(f"{count} {kind}" for kind, count in features["operators_on_cpu"].items())
    return f"{features['device']} ({features['provider']}{f'; left to the CPU: {left}' if left else ''})"


def _filled(sentence: str, given: dict) -> str | None:
    """`sentence` with its values, None if one of them is not known."""
    try:
        return sentence.format_map(given)
    except KeyError:
        return None


def jpeg_uri(image: Image.Image) -> str:
    """The image as a data URI."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def draw_thumbnail(view: View, layer: dict, image: Image.Image | None) -> Image.Image:
    """H&E (where there is one) beside the domain map, cut to the spots."""
    x0, y0, x1, y1 = view.window
    scale = 2 * THUMBNAIL_PX / (y1 - y0)  # drawn at twice the size, for smooth edges
    size = round((x1 - x0) * scale), 2 * THUMBNAIL_PX
    domains = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(domains)
    for (x, y), code in zip(view.xy, layer["codes"], strict=True):
        corners = (view.cell + np.array([x - x0, y - y0])) * scale
        draw.polygon([tuple(corner) for corner in corners], fill=layer["colours"][code] if code >= 0 else MISSING)
    panels = [domains]
    if image:
        panels.insert(0, image.crop((round(x0), round(y0), round(x1), round(y1))).resize(size))
        outside = Image.new("L", image.size, 255).crop((round(x0), round(y0), round(x1), round(y1))).resize(size)
        panels[0].paste("white", mask=outside.point(lambda value: 255 - value))
    gap = 12
    sheet = Image.new("RGB", (len(panels) * (size[0] + gap) - gap, size[1]), "white")
    for position, panel in enumerate(panels):
        sheet.paste(panel, (position * (size[0] + gap), 0))
    return sheet.resize((sheet.width // 2, sheet.height // 2), Image.Resampling.LANCZOS)


def save_thumbnail(view: View, layer: dict, image: Image.Image | None, path: Path) -> None:
    """Write the thumbnail as WebP of at most about `THUMBNAIL_BYTES`: MultiQC stores each one three times."""
    thumbnail = draw_thumbnail(view, layer, image)
    for quality in (80, 65, 50, 35, 20):
        buffer = io.BytesIO()
        thumbnail.save(buffer, "WEBP", quality=quality, method=6)
        if buffer.tell() <= THUMBNAIL_BYTES:
            break
    path.write_bytes(buffer.getvalue())
