#!/usr/bin/env python3
"""How alike the domains are that a CPU finds with other instructions. Prints a Markdown table.

    ./efnst python bench/instructions.py --data DATA [--sections dlpfc_151673=7 her2st_B1=4:none …]

Learning and clustering run once with all that the CPU has and once for each of `SETTINGS`, which make PyTorch, oneDNN,
MKL and OpenBLAS compute as on older CPUs. Sections are named as for bench/accuracy.py, and are read only once.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from accuracy import SECTIONS, Section, prepare  # puts bin/ on the path
from programs import program
from sklearn.metrics import adjusted_rand_score

SETTINGS = {
    "AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_CBWR": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "SSE": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
}


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Programs started within see `values`."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def domains_with(values: dict[str, str], name: str, work: Path, n_domains: int) -> pd.DataFrame:
    """domains.csv of the section read in `work`, learned and assigned with `values` in the environment."""
    files = ["--sample", name, "--section", work / "section.h5ad", "--outdir", work]
    features = ["--features", features] if (features := work / name / "features.npz").exists() else []
    learned = ["--embedding", work / name / "embedding.npz", "--training", work / name / "training.json"]
    with environment(values):
        program("learn_embedding", *files, *features, "--device", "cpu")
        program("assign_domains", *files, *learned, "--n_domains", n_domains)
    return pd.read_csv(work / "domains.csv")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sections", nargs="+", default=SECTIONS)
    options = parser.parse_args()
    print(f"ARI with the domains found with all instructions\n\n| section | {' | '.join(SETTINGS)} |")
    print(f"|---|{'---|' * len(SETTINGS)}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        program("export_encoder", "--outdir", work)
        for entry in options.sections:
            section = Section.of(entry, options.data)
            name = section.source.name
            (work / name).mkdir()
            prepare(section.found(work), section.image, work / name, options.threads)
            found, *others = (
                domains_with(values, name, work / name, section.n_domains)["domain"]
                for values in ({}, *SETTINGS.values())
            )
            cells = [f"{adjusted_rand_score(found, other):.3f}" for other in others]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
