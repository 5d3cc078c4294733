#!/usr/bin/env python3
"""Visium HD from 16,000 bins to a whole slide: seconds, CPU, memory and agreement with known regions. Markdown tables.

    ./efnst python bench/hd.py [--bins 16000 64000] [--counts 200] [--widths 1000] [--threads 2] [--folder /tmp/hd]
    ./efnst python bench/hd.py --cells --bins 100000 --counts 400

Every step is a process of its own, from its start to its files, as in the pipeline, without an image and with the
number of domains given. ARI is that of domains.csv, over all bins: there EfNST has a domain for each bin, the baselines
have that of its unit. `efnst, units` is EfNST with that of the unit, too. `--folder` keeps the simulated sections.
"""

import argparse
import itertools
import json
import math
import tempfile
from pathlib import Path

import anndata
from programs import Figures, measured

from efnst.simulation.slide import Slide, write_slide

BASELINES = ("diffused", "leiden")
CELL_UM = 12
CELLS = {"cells": True, "bin_um": CELL_UM}
STEPS = ("read_section", "learn_embedding", "assign_domains", "describe_domains", "export_domains", "section_report")


def simulated(slide: Slide, folder: Path) -> Path:
    """The folder of a simulated section, written where it is not there yet."""
    kind = "_cells" if slide.cells else ""
    path = folder / f"{slide.side}_{slide.counts:g}_{slide.width_um:g}_{slide.seed}{kind}"
    if not (path / "labels.csv").exists():
        write_slide(slide, path)
    return path


def measure(source: Path, slide: Slide, threads: int, outdir: Path) -> tuple[dict[str, Figures], dict]:
    """What each step took, and domains.json."""
    section, domains, bins = outdir / "section.h5ad", outdir / "hd.h5ad", outdir / "hd_bins.h5ad"
    learned = {"embedding": outdir / "hd" / "embedding.npz", "training": outdir / "hd" / "training.json"}
    described = {name: outdir / f"{name}.csv" for name in ("markers", "spatial_genes", "umap")}
    described |= {"description": outdir / "description.json", "domains_json": outdir / "domains.json"}
    results = {"domains": domains, "bins": bins}
    given = {
        "read_section": {"source": source / "outs", "image": "none", "labels": source / "labels.csv"}
        | ({"bin_um": "cells"} if slide.cells else {}),
        "learn_embedding": {"section": section, "threads": threads},
        "assign_domains": {"section": section, "bins": outdir / "bins.h5ad", "n_domains": slide.n_regions, **learned},
        "describe_domains": {"domains": domains},
        "export_domains": results,
        "section_report": {"source": source / "outs", "qc": outdir / "section_qc.json"}
        | {"training": learned["training"], **results, **described},
    }
    figures = {step: measured(step, "--sample=hd", f"--outdir={outdir}", *options(given[step])) for step in STEPS}
    return figures, json.loads((outdir / "domains.json").read_text())


def options(given: dict[str, object]) -> list[str]:
    """Options of a command line."""
    return [f"--{name}={value}" for name, value in given.items()]


def main() -> None:
    """Measure all combinations and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bins", type=int, nargs="+", default=[16_000, 64_000])
    parser.add_argument("--counts", type=float, nargs="+", default=[200])
    parser.add_argument("--widths", type=float, nargs="+", default=[1000], help="of regions, µm")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--cells", action="store_true", help=f"of {CELL_UM} µm in the place of bins")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    columns = ("bins", "counts a bin", "regions, µm", "unit, µm", "ARI efnst", "efnst, units", "diffused", "leiden")
    columns = (*columns, *STEPS, "together")
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    with tempfile.TemporaryDirectory() as made:
        for n, counts, width, seed in itertools.product(given.bins, given.counts, given.widths, given.seeds):
            slide = Slide(math.isqrt(n), counts, width, seed=seed, **(CELLS if given.cells else {}))
            source = simulated(slide, given.folder or Path(made))
            with tempfile.TemporaryDirectory() as outdir:
                figures, found = measure(source, slide, given.threads, Path(outdir))
                unit_um = anndata.read_h5ad(Path(outdir, "section.h5ad"), backed="r").uns["section"]["unit_um"]
            print(row(slide, unit_um, figures, found), flush=True)


def row(slide: Slide, unit_um: float, figures: dict[str, Figures], found: dict) -> str:
    """One row of the table: seconds by the clock (CPU, GB) of each step."""
    methods = found["methods"]
    scores = [methods["efnst"]["ari"], methods["efnst"]["ari_of_units"], *(methods[name]["ari"] for name in BASELINES)]
    scores = [f"{score:.3f}" for score in scores]
    steps = [f"{f.seconds:.0f} ({f.cpu:.0f}, {f.peak:.1f})" for f in figures.values()]
    total = sum(f.seconds for f in figures.values())
    peak = max(f.peak for f in figures.values())
    cells = [f"{slide.side**2:,}", f"{slide.counts:g}", f"{slide.width_um:g}", f"{unit_um:g}", *scores, *steps]
    return "| " + " | ".join([*cells, f"{total:.0f} ({peak:.1f})"]) + " |"


if __name__ == "__main__":
    main()
