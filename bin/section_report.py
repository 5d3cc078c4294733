#!/usr/bin/env python3
"""Step: the report of one section, its thumbnail and its row of the cohort summary."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from efnst.program.cli import run

log = logging.getLogger("efnst")
TEMPLATE = Path(__file__).resolve().parent.parent / "assets" / "section_report" / "report.html"


def main(
    sample: Annotated[str, typer.Option("--sample", help="Name of the sample, as in the samplesheet.")],
    domains: Annotated[Path, typer.Option("--domains", help="The sample's .h5ad with its domains.")],
    domains_json: Annotated[Path, typer.Option("--domains_json", help="domains.json of assign_domains.")],
    qc: Annotated[Path, typer.Option("--qc", help="section_qc.json of read_section.")],
    training: Annotated[Path, typer.Option("--training", help="training.json of learn_embedding.")],
    description: Annotated[Path, typer.Option("--description", help="description.json of describe_domains.")],
    markers: Annotated[Path, typer.Option("--markers", help="markers.csv of describe_domains.")],
    spatial_genes: Annotated[Path, typer.Option("--spatial_genes", help="spatial_genes.csv of describe_domains.")],
    umap: Annotated[Path, typer.Option("--umap", help="umap.csv of describe_domains.")],
    source: Annotated[Path, typer.Option("--source", help="What the section was read from, for its picture.")],
    image: Annotated[
        Path | None, typer.Option("--image", help="Its full-resolution image, where one was used.")
    ] = None,
    image_qc: Annotated[Path | None, typer.Option("--image_qc", help="image_qc.json of tile_image.")] = None,
    features_json: Annotated[
        Path | None, typer.Option("--features_json", help="features.json of embed_patches.")
    ] = None,
    encoder_json: Annotated[Path | None, typer.Option("--encoder_json", help="encoder.json of export_encoder.")] = None,
    template: Annotated[
        Path,
        typer.Option(
            "--template",
            help="The jinja2 template of the report, with the files it includes beside it.",
            show_default=False,
        ),
    ] = TEMPLATE,
    outdir: Annotated[Path, typer.Option("--outdir", help="Folder for the results.")] = Path(),
    failure: Annotated[
        Path | None, typer.Option("--failure", help="Write what is wrong with the section to this file and exit 0.")
    ] = None,
) -> None:
    """Write the report of one section.

    Writes report.html (one file that works without a network), <sample>_thumbnail.webp (H&E beside the domains) and
    section_summary.json (the section's row of the cohort summary).
    """
    import anndata
    import pandas as pd
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from efnst.names import DOMAIN
    from efnst.palette import domain_colours
    from efnst.records.base import write_record
    from efnst.records.section import read_records
    from efnst.reports.maps import read_picture, section_view
    from efnst.reports.section import Tables, report_context
    from efnst.reports.thumbnail import save_thumbnail

    logging.getLogger("pyvips").setLevel(logging.WARNING)  # it reports every step of every thumbnail
    text = {"domain": str, "gene": str}
    data = anndata.read_h5ad(domains)
    steps = {"qc": qc, "domains": domains_json, "training": training, "description": description}
    records = read_records(**steps, image_qc=image_qc, features=features_json, encoder=encoder_json)
    # A gene may be called NA.
    tables = [pd.read_csv(path, dtype=text, keep_default_na=False) for path in (markers, spatial_genes)]
    layout = pd.read_csv(umap, dtype={"barcode": str}, keep_default_na=False)
    picture = read_picture(data, source, image)
    view = section_view(data, picture)
    context = report_context(data, records, view, picture, Tables(*tables, layout))

    environment = Environment(loader=FileSystemLoader(template.parent), autoescape=True, undefined=StrictUndefined)
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}  # JSON has no NaN, and the page would stay empty
    html = environment.get_template(template.name).render(context)
    (outdir / "report.html").write_text(html, encoding="utf-8")
    found = data.obs[DOMAIN].astype("category").cat
    colours = domain_colours(len(found.categories))
    save_thumbnail(view, found.codes.to_numpy(), colours, picture, outdir / f"{sample}_thumbnail.webp")
    write_record(outdir / "section_summary.json", context["summary"])
    log.info("%s: report of %.1f MB, %d warnings", sample, len(html) / 1e6, len(context["summary"].warnings))


if __name__ == "__main__":
    run(main)
