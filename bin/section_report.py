#!/usr/bin/env python3
"""Step: the report of one section, its thumbnail and its row of the cohort summary."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from efnst.program.arguments import (
    BinsFile,
    DomainsFile,
    EncoderFile,
    Failure,
    FeaturesFile,
    FullresImage,
    ImageQcFile,
    Outdir,
    Sample,
    Source,
    TrainingFile,
)
from efnst.program.cli import run

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

log = logging.getLogger("efnst")
TEMPLATE = Path(__file__).resolve().parent.parent / "assets" / "section_report" / "report.html"


def main(
    sample: Sample,
    domains: DomainsFile,
    domains_json: Annotated[Path, typer.Option("--domains_json", help="domains.json of assign_domains.")],
    qc: Annotated[Path, typer.Option("--qc", help="section_qc.json of read_section.")],
    training: TrainingFile,
    description: Annotated[Path, typer.Option("--description", help="description.json of describe_domains.")],
    markers: Annotated[Path, typer.Option("--markers", help="markers.csv of describe_domains.")],
    spatial_genes: Annotated[Path, typer.Option("--spatial_genes", help="spatial_genes.csv of describe_domains.")],
    umap: Annotated[Path, typer.Option("--umap", help="umap.csv of describe_domains.")],
    source: Source,
    bins: BinsFile = None,
    image: FullresImage = None,
    image_qc: ImageQcFile = None,
    features_json: FeaturesFile = None,
    encoder_json: EncoderFile = None,
    template: Annotated[
        Path, typer.Option(help="Template of the report, beside the files it includes.", show_default=False)
    ] = TEMPLATE,
    outdir: Outdir = Path(),
    failure: Failure = None,
) -> None:
    """Write the report of one section.

    Writes report.html (one file that works without a network), <sample>_thumbnail.webp (H&E beside the domains) and
    section_summary.json (the section's row of the cohort summary).
    """
    from efnst.domains.bins import read_bin_domains
    from efnst.inputs.hdf5 import read_own
    from efnst.records.base import write_record
    from efnst.records.section import read_records
    from efnst.reports.maps import read_picture, section_view
    from efnst.reports.section import Tables, report_context
    from efnst.reports.thumbnail import save_thumbnail

    data = read_own(domains)
    steps = {"qc": qc, "domains": domains_json, "training": training, "description": description}
    records = read_records(**steps, image_qc=image_qc, features=features_json, encoder=encoder_json)
    tables = Tables(*(_table(path) for path in (markers, spatial_genes, umap)))
    picture = read_picture(data, source, image)
    view = section_view(data, picture)
    context = report_context(data, records, view, picture, tables, read_bin_domains(bins) if bins else None)
    html = _rendered(template, context)
    (outdir / "report.html").write_text(html, encoding="utf-8")
    codes, colours = _codes_and_colours(data.obs)
    save_thumbnail(view, codes, colours, picture, outdir / f"{sample}_thumbnail.webp")
    write_record(outdir / "section_summary.json", context["summary"])
    log.info("%s: report of %.1f MB, %d warnings", sample, len(html) / 1e6, len(context["summary"].warnings))


def _codes_and_colours(obs: "pd.DataFrame") -> tuple["np.ndarray", list[str]]:
    """The domain of each spot as a number from 0 on, -1 for none, and the domains' colours."""
    from efnst.names import DOMAIN
    from efnst.palette import colours_of

    found = obs[DOMAIN].astype("category").cat
    return found.codes.to_numpy(), colours_of(found.categories)


def _table(path: Path) -> "pd.DataFrame":
    """A table of an earlier step."""
    from efnst.program.spreadsheets import read_table

    return read_table(path, dtype={"domain": str, "gene": str, "barcode": str})


def _rendered(template: Path, context: dict) -> str:
    """The page that the template makes of `context`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(template.parent), autoescape=True, undefined=StrictUndefined)
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}  # JSON has no NaN, and the page would stay empty
    return environment.get_template(template.name).render(context)


if __name__ == "__main__":
    run(main)
