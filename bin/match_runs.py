#!/usr/bin/env python3
"""Which domains of one run are which of another: the best one-to-one assignment over the spots that both have."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from efnst.program.cli import run

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("efnst")


def main(
    first: Annotated[Path, typer.Argument(metavar="RUN1", help="Folder of the results of one run.")],
    second: Annotated[Path, typer.Argument(metavar="RUN2", help="Folder of the results of the other.")],
    outdir: Annotated[
        Path | None, typer.Option("--outdir", help="Folder for match_domains.csv and match_samples.csv; it is made.")
    ] = None,
) -> None:
    """Match the domains of two independent runs over the samples and barcodes that both have.

    Prints which domain is which and how far they agree, by domain and by sample; with --outdir also as CSV.
    """
    from efnst.inputs.runs import shared_spots
    from efnst.provenance.last_run import has_common_domains, sample_tables
    from efnst.statistics.matching import match_domains

    found = [sample_tables(folder) for folder in (first, second)]
    for folder, (_, old) in zip((first, second), found, strict=True):
        if old:
            log.warning("%s: left out %s, which its last run does not have or did not finish", folder, ", ".join(old))
    pairs, dropped = shared_spots(*(tables for tables, _ in found))
    if dropped:
        log.warning("no barcode has a domain in both runs: %s left out", ", ".join(dropped))
    common = has_common_domains(first) and has_common_domains(second)
    domains, samples = match_domains(pairs, common)
    for table in (domains, samples):
        typer.echo(table.to_string(index=False, float_format="{:.3f}".format) + "\n")
    if outdir:
        _write(outdir, domains, samples)
    log.info("%d samples, %d spots in both runs", len(samples), int(samples["n_shared"].sum()))


def _write(outdir: Path, domains: pd.DataFrame, samples: pd.DataFrame) -> None:
    """Write both tables."""
    from efnst.program.spreadsheets import harmless_table

    outdir.mkdir(parents=True, exist_ok=True)
    for name, table in (("domains", domains), ("samples", samples)):
        harmless_table(table).to_csv(outdir / f"match_{name}.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    run(main)
