#!/usr/bin/env python3
"""Step: one row per section, and the content of the cohort's MultiQC report."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from efnst.program import read_json, run, write_json

log = logging.getLogger("efnst")


def main(
    sections: Annotated[Path, typer.Option("--sections", help="sections.json of check_inputs.")],
    summaries: Annotated[
        list[Path], typer.Option("--summaries", help="section_summary.json, or a folder with any number of them.")
    ] = [],  # noqa: B006
    failures: Annotated[
        list[Path], typer.Option("--failures", help="Failure record (JSON), or a folder with any number of them.")
    ] = [],  # noqa: B006
    warnings: Annotated[
        list[Path],
        typer.Option("--warnings", help="Record (JSON) of what a section does without, or a folder with any number."),
    ] = [],  # noqa: B006
    thumbnails: Annotated[
        list[Path], typer.Option("--thumbnails", help="<sample>_thumbnail.webp, or a folder with any number of them.")
    ] = [],  # noqa: B006
    versions: Annotated[
        list[Path], typer.Option("--versions", help="versions.yml, or a folder with any number of them.")
    ] = [],  # noqa: B006
    outdir: Annotated[Path, typer.Option("--outdir", help="Folder for the results.")] = Path(),
) -> None:
    """Summarise the cohort: how every section of the samplesheet ended, and what the report shows of it.

    Writes summary.csv and summary.parquet (one row per section and method), sections.csv (one row per section), in the
    order of the samplesheet, and, for MultiQC, efnst_*_mqc.json and efnst_mqc_versions.yml. Each of the options for
    inputs may be given several times.
    """
    import yaml

    from efnst.cohort_summary import (
        contents,
        files_below,
        merged_versions,
        outcomes,
        read_all,
        summary_table,
        write_sections,
    )

    listed = read_json(sections)
    samples = [section["id"] for section in listed]
    ended = outcomes(samples, read_all(summaries), read_all(failures), read_all(warnings))
    pictures = {path.name.removesuffix("_thumbnail.webp"): path for path in files_below(thumbnails, ".webp")}

    outdir.mkdir(parents=True, exist_ok=True)
    write_sections(ended, outdir / "sections.csv")
    table = summary_table(ended, {section["id"]: section.get("group", "") for section in listed})
    table.to_csv(outdir / "summary.csv", index=False)
    table.to_parquet(outdir / "summary.parquet", index=False)
    for name, content in contents(ended, pictures).items():
        write_json(outdir / f"{name}_mqc.json", content)
    software = merged_versions(files_below(versions, ".yml"))
    if software:
        (outdir / "efnst_mqc_versions.yml").write_text(yaml.safe_dump(software, sort_keys=False))
    for outcome in ended:
        if outcome.status == "failed":
            log.warning("%s failed: %s", outcome.sample, outcome.reason)
    log.info("%d sections, %d failed", len(ended), sum(outcome.status == "failed" for outcome in ended))


if __name__ == "__main__":
    run(main)
