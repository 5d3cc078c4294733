#!/usr/bin/env python3
"""How well labelled sections of a cohort are named from each other, or what a simulated cohort is worth in each scope.

    ./efnst python bench/cohort.py --sheet DATA/her2st/samplesheet.csv [--correct_by group sample none]
    ./efnst python bench/cohort.py --simulated 20 [--seed 0] [--folder /tmp/cohort]

Prints a Markdown table. The samplesheet is one of the pipeline. Sections are read without images; nothing is trained:
names are learned from the components of the shared genes, corrected and diffused. For simulated sections see
simulated_cohort.py.
"""

import argparse
import csv
import sys
import tempfile
from pathlib import Path

import anndata
import numpy as np
from programs import BIN, program
from simulated_cohort import results
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(BIN))

from efnst.domains.candidates import taught_values
from efnst.domains.naming import Taught, fit_naming, left_out_scores
from efnst.domains.options import DomainOptions
from efnst.domains.scores import scored_spots
from efnst.embedding.cohort import Member
from efnst.embedding.learn import LEARNED_UNITS
from efnst.embedding.options import CohortOptions, EmbeddingOptions
from efnst.embedding.part import part_of, pooled
from efnst.embedding.sketch import quota
from efnst.embedding.space import fit_components
from efnst.embedding.together import together
from efnst.names import LABEL, SPATIAL

IGNORED = ["undetermined"]  # labels


def read(sheet: Path, work: Path) -> list[Member]:
    """The sections of a samplesheet, each with its group as batch."""
    members = []
    for row in csv.DictReader(sheet.open(newline="")):
        folder = work / row["sample"]
        folder.mkdir()
        labels = ["--labels", sheet.parent / row["labels"]] if row.get("labels") else []
        files = ["--source", sheet.parent / row["section"], "--image", "none", "--outdir", folder, *labels]
        program("read_section", "--sample", row["sample"], *files)
        members.append(Member(row["sample"], row.get("group") or "", folder / "section.h5ad", None))
    return members


def scores(members: list[Member], correct_by: str) -> dict[str, dict[str, float]]:
    """Scores of each labelled section, named from the others."""
    options, cohort = EmbeddingOptions(), CohortOptions(correct_by=correct_by)
    found = together(members, options, cohort)
    genes, most = found.genes, quota(list(found.sizes.values()), LEARNED_UNITS)
    members, parts, taught = [member for member in members if member.sample in found.sizes], {}, {}
    for member in members:
        section, _ = member.read()
        parts[member.sample] = part_of(section, None, cohort.batch(member.sample, member.batch), genes, options, most)
    components, _ = fit_components(pooled(list(parts.values())), np.arange(len(genes.ids)), options.expression_pcs, 0)
    for member in members:
        section = anndata.read_h5ad(member.section)
        if LABEL in section.obs:
            labelled = scored_spots(section.obs[LABEL], IGNORED)
            part = part_of(section, None, cohort.batch(member.sample, member.batch), genes, options)
            arrays = {"expression": components.of(part)}
            values = taught_values(arrays, section.obs["total_counts"].to_numpy(), part.positions, True)
            labels = section.obs[LABEL][labelled].astype(str).to_numpy()
            taught[member.sample] = Taught(values, labels, labelled, np.asarray(section.obsm[SPATIAL], float))
    return left_out_scores(fit_naming(taught), taught, DomainOptions().refinement_rounds)


def print_names(sheet: Path, folder: Path, ways: list[str]) -> None:
    """The table of how well sections are named, for each way to correct."""
    print("| corrected by | section | macro F1 | ARI | has a name |\n|---|---|---|---|---|")
    members = read(sheet, folder)
    for correct_by in ways:
        found = scores(members, correct_by)
        found["mean"] = {key: np.mean([each[key] for each in found.values()]) for key in ("macro_f1", "ari", "known")}
        for sample, each in found.items():
            print(f"| {correct_by} | {sample} | {each['macro_f1']:.2f} | {each['ari']:.2f} | {each['known']:.0%} |")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--sheet", type=Path)
    what.add_argument("--simulated", type=int, metavar="SECTIONS")
    parser.add_argument("--correct_by", nargs="+", default=["group", "sample", "none"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="keep all files in this empty folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, threadpool_limits(1):
        folder = options.folder or Path(made)
        if options.sheet:
            print_names(options.sheet, folder, options.correct_by)
        else:
            print("| of the simulated cohort | |\n|---|---|")
            for name, value in results(folder / "cohort", options.simulated, options.seed).items():
                print(f"| {name} | {value:.3f} |")


if __name__ == "__main__":
    main()
