#!/usr/bin/env python3
"""Agreement with labels of EfNST and the two baselines, per section over several seeds. Prints a Markdown table.

    ./efnst python bench/accuracy.py --data DATA [--seeds 5] [--sections dlpfc_151673=7 her2st_B1=4:none …]

DATA holds one Space Ranger folder per section, each with a labels.csv. `=K` is the number of domains, `:none`
runs without the image. Reading, patches and features
are made once; learning and clustering once for each seed, with default settings.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import anndata
import numpy as np
from threadpoolctl import threadpool_limits

BIN = Path(__file__).resolve().parents[1] / "bin"
sys.path.insert(0, str(BIN))

from efnst.constants import BASELINES, DOMAIN  # noqa: E402
from efnst.domains import DomainOptions, assign_domains  # noqa: E402
from efnst.embedding import EmbeddingOptions, learn_embedding  # noqa: E402
from efnst.reproducible import reproducible_torch  # noqa: E402
from efnst.section_file import read_arrays  # noqa: E402
from efnst.training import TrainingOptions, choose_device  # noqa: E402

SECTIONS = ["dlpfc_151673=7", "dlpfc_151510=7", "her2st_A1=5", "her2st_B1=4:none", "her2st_H1=6:none"]
METHODS = (DOMAIN, *BASELINES)


def program(name: str, *arguments: object) -> None:
    """Run one of the pipeline's programs."""
    subprocess.run([sys.executable, BIN / name, *map(str, arguments)], check=True, stderr=subprocess.DEVNULL)


def prepare(folder: Path, image: str, work: Path, threads: int) -> tuple[anndata.AnnData, np.ndarray | None]:
    """The section and its image features."""
    name, section = folder.name, work / "section.h5ad"
    options = ["--image", image] if image else []
    labels = folder / "labels.csv"
    program("read_section.py", "--sample", name, "--section", folder, "--labels", labels, "--outdir", work, *options)
    spots = anndata.read_h5ad(section)
    if image:
        return spots, None
    program("tile_image.py", "--sample", name, "--section", section, "--folder", folder, "--outdir", work)
    files = ["--patches", work / "patches.h5", "--encoder", work.parent / "encoder.onnx", "--threads", threads]
    program("embed_patches.py", "--sample", name, "--outdir", work, *files)
    return spots, read_arrays(work / "features.npz", spots.obs_names.to_numpy())["features"]


def scores(spots: anndata.AnnData, features: np.ndarray | None, n_domains: int, seed: int, threads: int) -> list[float]:
    """ARI of each method with one seed."""
    with threadpool_limits(threads), reproducible_torch(threads, seed):
        training = TrainingOptions(seed=seed)
        arrays, _ = learn_embedding(spots, features, EmbeddingOptions(), training, choose_device("cpu"))
    _, record = assign_domains(spots, arrays, DomainOptions(n_domains, ignore_labels=("undetermined",), seed=seed))
    return [record["methods"][method]["ari"] for method in METHODS]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sections", nargs="+", default=SECTIONS)
    options = parser.parse_args()
    print(f"ARI, refined, K given, mean ± standard deviation over seeds 0 to {options.seeds - 1}\n")
    print(f"| section | K | image | {' | '.join(METHODS)} |\n|---|---|---|{'---|' * len(METHODS)}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        program("export_encoder.py", "--outdir", work)
        for entry in options.sections:
            name, _, rest = entry.partition("=")
            n_domains, _, image = rest.partition(":")
            (work / name).mkdir()
            spots, features = prepare(options.data / name, image, work / name, options.threads)
            runs = [scores(spots, features, int(n_domains), seed, options.threads) for seed in range(options.seeds)]
            cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(np.mean(runs, 0), np.std(runs, 0), strict=True)]
            used = image or spots.uns["section"]["image"]["source"]
            print(f"| {name} | {n_domains} | {used} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
