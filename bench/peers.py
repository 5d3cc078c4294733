#!/usr/bin/env python3
"""Agreement with labels of other methods, each as its authors recommend, and what they take. Prints a Markdown table.

    ./efnst python bench/peers.py --data DATA [--methods banksy spagcn …] [--seeds 3] [--ours] [--keep FOLDER]

DATA is that of bench/accuracy.py, and so are sections, numbers of domains and the labels left out. The peers' packages
are fetched once, as locked in requirements/peers.txt (bench/peers.sh), and are no part of efnst. Each method runs once
for each section and seed in a process of its own, on the counts that `read_section.py` keeps; its domains are then
refined as ours are. With --ours EfNST and its baselines follow, by the pipeline's programs; their image features are
made beforehand. With --keep every result is written as it comes, and a run that was cut off goes on from there.

Seconds by the clock and of CPU, and memory, are those of the section that took longest, imports included; those of
EfNST are of learning and assigning, baselines among them. `K met`: runs that gave the number of domains asked for.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import anndata
import numpy as np
from accuracy import IGNORED, METHODS, SECTIONS, Section, prepare  # puts bin/ on the path
from programs import Figures, ProgramError, measured, measured_script, program

from efnst.domains.options import DomainOptions
from efnst.domains.refinement import refine
from efnst.domains.scores import label_scores
from efnst.names import LABEL, SPATIAL

HERE = Path(__file__).resolve().parent
PEERS = {  # as bench/peer_methods.py and the table call them
    "banksy": "BANKSY",
    "spatialleiden": "SpatialLeiden",
    "cellcharter": "CellCharter",
    "spagcn": "SpaGCN",
    "stagate": "STAGATE",
    "graphst": "GraphST",
}
SECTIONS_HERE = [SECTIONS[0], "dlpfc_151676=7", *SECTIONS[1:]]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Result(NamedTuple):
    """What a method gave on a section with a seed: ARI, number of domains, and what it took."""

    ari: float
    found: int
    seconds: float
    cpu: float
    peak: float


def peers_python() -> str:
    """The Python of the peers' environment, which is made where it is missing."""
    made = subprocess.run(["bash", HERE / "peers.sh"], stdout=subprocess.PIPE, text=True, check=True)
    return f"{made.stdout.strip()}/bin/python"


def run_peer(python: str, method: str, section: Section, seed: int, work: Path) -> dict[str, Result]:
    """One peer on the section in `work`, refined and scored."""
    given = ["--n_domains", section.n_domains, "--seed", seed, "--labels", work / "found.npy"]
    took = measured_script(HERE / "peer_methods.py", method, work / "section.h5ad", *given, python=python)
    spots = anndata.read_h5ad(work / "section.h5ad")
    labels = np.load(work / "found.npy")
    refined = refine(labels, np.asarray(spots.obsm[SPATIAL], float), DomainOptions().refinement_rounds)
    ari = label_scores(refined, spots.obs[LABEL], list(IGNORED))["ari"]
    return {method: Result(ari, len(np.unique(labels)), *took)}


def run_ours(threads: int, section: Section, seed: int, work: Path) -> dict[str, Result]:
    """EfNST and its baselines on the section in `work`, by the programs."""
    name = section.source.name
    where = ["--sample", name, "--section", work / "section.h5ad", "--outdir", work, "--seed", seed]
    features = ["--features", features] if (features := work / name / "features.npz").exists() else []
    learned = measured("learn_embedding", *where, *features, "--threads", threads)
    files = ["--embedding", work / name / "embedding.npz", "--training", work / name / "training.json"]
    asked = ["--n_domains", section.n_domains, "--ignore_labels", ",".join(IGNORED)]
    assigned = measured("assign_domains", *where, *files, *asked)
    took = Figures(learned.seconds + assigned.seconds, learned.cpu + assigned.cpu, max(learned.peak, assigned.peak))
    record = json.loads((work / "domains.json").read_text())["methods"]
    return {method: Result(record[method]["ari"], section.n_domains, *took) for method in METHODS}


def kept(folder: Path, name: str, run: Callable[[], dict[str, Result]]) -> dict[str, Result]:
    """What `run` gives, or gave when it was last called with this folder and name; nothing where it failed."""
    path = folder / f"{name}.json"
    if not path.exists():
        print(name, file=sys.stderr, flush=True)
        try:
            path.write_text(json.dumps(run()))
        except ProgramError as error:
            print(f"{name} failed: {error}", file=sys.stderr)
            return {}
    return {method: Result(*values) for method, values in json.loads(path.read_text()).items()}


def rows(results: dict[str, list[dict[str, Result]]], n_domains: list[int], shown: dict[str, str]) -> Iterator[str]:
    """The table's rows: `results` are those of the runs on each section, `shown` names what has a row."""
    for method, title in shown.items():
        by_section = [[run[method] for run in runs if method in run] for runs in results.values()]
        values = [np.array([result.ari for result in each]) for each in by_section]
        cells = [f"{ari.mean():.3f} ± {ari.std():.3f}" if len(ari) else "–" for ari in values]
        mean = f"{np.mean([ari.mean() for ari in values]):.3f}" if all(map(len, values)) else "–"
        every = [(result, k) for each, k in zip(by_section, n_domains, strict=True) for result in each]
        met = sum(result.found == k for result, k in every)
        slowest = max((result for result, _ in every), key=lambda result: result.cpu, default=None)
        took = f"{slowest.seconds:.0f} | {slowest.cpu:.0f} | {slowest.peak:.1f}" if slowest else "– | – | –"
        yield f"| {title} | {' | '.join(cells)} | {mean} | {met} of {len(every)} | {took} |"


def run_all(options: argparse.Namespace, sections: list[Section], keep: Path) -> dict[str, list[dict[str, Result]]]:
    """The results of every run on each section, by its name."""
    python = peers_python() if options.methods else ""
    results = {section.source.name: [] for section in sections}
    for section in sections:
        name, runs = section.source.name, results[section.source.name]
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            (work / "peers").mkdir()
            prepare(section.source, "none", work / "peers", options.threads)
            for method in options.methods:
                for seed in range(options.seeds):
                    given = python, method, section, seed, work / "peers"
                    runs.append(kept(keep, f"{name}_{method}_{seed}", partial(run_peer, *given)))
            if options.ours:
                (work / "ours").mkdir()
                program("export_encoder", "--outdir", work)
                prepare(section.source, section.image, work / "ours", options.threads)
                for seed in range(options.seeds):
                    given = options.threads, section, seed, work / "ours"
                    runs.append(kept(keep, f"{name}_ours_{seed}", partial(run_ours, *given)))
    return results


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sections", nargs="+", default=SECTIONS_HERE)
    parser.add_argument("--methods", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ours", action="store_true")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    os.environ.update(dict.fromkeys(THREADS, str(options.threads)))
    sections = [Section.of(entry, options.data) for entry in options.sections]
    with tempfile.TemporaryDirectory() as folder:
        keep = options.keep or Path(folder)
        keep.mkdir(parents=True, exist_ok=True)
        results = run_all(options, sections, keep)
    shown = {method: PEERS[method] for method in options.methods}
    shown |= {method: method for method in METHODS} if options.ours else {}
    print(f"ARI, refined, K given, mean ± standard deviation over {options.seeds} seeds, {options.threads} thread(s)\n")
    columns = ["method", *results, "mean", "K met", "seconds", "of CPU", "GB"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows(results, [section.n_domains for section in sections], shown):
        print(row)


if __name__ == "__main__":
    main()
