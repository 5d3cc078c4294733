#!/usr/bin/env python3
"""The number of domains chosen where none is given, beside the number of regions there are. Prints a Markdown table.

    ./efnst python bench/number_of_domains.py [--n_spots 1800] [--seed 11] [--data DATA --sections her2st_H1:none …]

Sections are simulated with 5 to 9 regions in each of three layouts. With DATA, the labelled sections in it follow;
`:none` runs without the image.
"""

import argparse
import re
import tempfile
from pathlib import Path

import numpy as np
from accuracy import IGNORED, SECTIONS, domains_of, prepare  # puts bin/ on the path
from programs import program

from efnst.domains.number import TRAININGS
from efnst.domains.scores import scored_spots
from efnst.names import LABEL

REGIONS = range(5, 10)
REAL = [re.sub(r"=\d+", "", section) for section in SECTIONS]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sections", nargs="*", default=REAL)
    parser.add_argument("--n_spots", type=int, default=1800)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print("| section | regions | chosen | runner-up | stands out |\n|---|---|---|---|---|")
    errors = []  # of the simulated sections
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        program("export_encoder", "--outdir", work)
        sections = []
        for number in REGIONS:
            cohort = work / f"cohort_{number}"
            given = ["--n_spots", options.n_spots, "--n_regions", number, "--seed", options.seed + number]
            program("simulate_cohort", "--outdir", cohort, "--sections", 3, *given)
            sections += [(path, "", True) for path in sorted(cohort.glob("sim_*"))]
        for entry in options.sections if options.data else []:
            name, _, image = entry.partition(":")
            sections.append((options.data / name, image, False))
        for number, (source, image, is_simulated) in enumerate(sections):
            place = work / str(number)
            place.mkdir()
            spots, arrays = prepare(source, image, place, options.threads)
            record = domains_of(spots, arrays, None, 0, options.threads, TRAININGS)
            choice, labels = record["choice"], spots.obs[LABEL]
            regions = labels[scored_spots(labels, list(IGNORED))].nunique()
            cells = (choice["n_domains"], choice["runner_up"], "no" if choice["flat"] else "yes")
            print(f"| {source.name} | {regions} | {' | '.join(map(str, cells))} |", flush=True)
            if is_simulated:
                errors.append(abs(choice["n_domains"] - regions))
    within, exact = np.sum(np.array(errors) <= 1), np.sum(np.array(errors) == 0)
    print(f"\nSimulated: within one in {within} of {len(errors)}, the same in {exact}.")


if __name__ == "__main__":
    main()
