#!/usr/bin/env python3
"""What a reference makes of a section with genes dropped, counts thinned, or another stain. Prints a Markdown table.

    ./efnst python bench/reference.py --reference results/reference --section SECTION [--group G] [--seed 0]

`SECTION` is what the column `section` of a samplesheet takes, with a `labels.csv` in it where its ARI is wanted; it
should not be one of those that the reference was made of. Images count where the reference has seen images and the
section has an image in its own folder. ARI is that with the domains of the section as it is, and that with its labels;
seconds are those of APPLY_REFERENCE and ASSIGN_DOMAINS by the clock, on one core each.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from PIL import Image
from programs import BIN, program
from scipy import sparse
from sklearn.metrics import adjusted_rand_score

sys.path.insert(0, str(BIN))

from efnst.domains.scores import scored_spots
from efnst.names import LABEL
from efnst.simulation.visium_hd import thinned

OPTICAL_DENSITY = (1.25, 1.0, 0.75)  # of red, green and blue after the shift, of that before
COLUMNS = (
    "section",
    "genes missing",
    "depth",
    "structure",
    "novel",
    "verdict",
    "ARI as it is",
    "ARI labels",
    "seconds",
)


def features_of(section: Path, source: Path, folder: Path) -> list[object]:
    """Options that give the image features of a section to a program."""
    program("tile_image", "--sample", "S", "--section", section, "--source", source, "--outdir", folder)
    program("export_encoder", "--outdir", folder)
    files = "--patches", folder / "patches.h5", "--encoder", folder / "encoder.onnx"
    program("embed_patches", "--sample", "S", *files, "--outdir", folder)
    return ["--features", folder / "S" / "features.npz", "--encoder_json", folder / "encoder.json"]


def applied(section: Path, given: list[object], options: argparse.Namespace, folder: Path) -> tuple[pd.Series, dict]:
    """Domain of each spot, and how the section fits with the seconds that it took."""
    named = "--sample", "S", "--section", section, "--reference", options.reference, "--outdir", folder
    start = time.perf_counter()
    program("apply_reference", *named, "--group", options.group, *given)
    learned = "--embedding", folder / "embedding.npz", "--training", folder / "training.json"
    program("assign_domains", *named, *learned, "--reference_fit", folder / "reference_fit.json")
    seconds = time.perf_counter() - start
    fit = json.loads((folder / "domains.json").read_text())["fit"]
    return pd.read_csv(folder / "domains.csv", index_col=0)["domain"], fit | {"seconds": seconds}


def with_fewer_genes(share: float, seed: int) -> Callable[[anndata.AnnData], anndata.AnnData]:
    """What drops genes at random."""
    return lambda data: data[:, np.random.default_rng(seed).random(data.n_vars) >= share].copy()


def with_fewer_counts(share: float, seed: int) -> Callable[[anndata.AnnData], anndata.AnnData]:
    """What drops counts at random."""

    def thin(data: anndata.AnnData) -> anndata.AnnData:
        data.X = thinned(sparse.csr_matrix(data.X), np.random.default_rng(seed), 1 - share)
        return data

    return thin


def stained_otherwise(source: Path, folder: Path) -> Path:
    """A copy of a section's folder whose images have another stain."""
    shutil.copytree(source, folder)
    for path in (folder / "spatial").glob("tissue_*res_image.*"):
        density = -np.log(np.clip(np.asarray(Image.open(path).convert("RGB"), float), 1, 255) / 255)
        shifted = 255 * np.exp(-density * OPTICAL_DENSITY)
        Image.fromarray(shifted.round().astype(np.uint8)).save(path)
    return folder


def row(name: str, domains: pd.Series, fit: dict, whole: pd.Series, labels: pd.Series | None) -> str:
    """One line of the table."""
    told = [f"{fit['missing_genes']:.0%}", f"{fit['depth']:.2f}", f"{fit['structure']:.0%}", f"{fit['novel']:.1%}"]
    told.append(fit["verdict"])
    agreement = f"{adjusted_rand_score(whole.reindex(domains.index), domains):.3f}"
    truth = "" if labels is None else f"{adjusted_rand_score(labels, domains.reindex(labels.index)):.3f}"
    return "| " + " | ".join([name, *told, agreement, truth, f"{fit['seconds']:.0f}"]) + " |"


def labels_of(section: Path) -> pd.Series | None:
    """The labels of the spots that have one; None where no spot has."""
    obs = anndata.read_h5ad(section, backed="r").obs
    return obs[LABEL].astype(str)[scored_spots(obs[LABEL], [])] if LABEL in obs else None


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--section", type=Path, required=True)
    parser.add_argument("--group", default="")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    has_image = json.loads((options.reference / "reference.json").read_text())["image"]
    changes = {f"{share:.0%} of genes dropped": with_fewer_genes(share, options.seed) for share in (0.1, 0.3)}
    changes |= {f"{share:.0%} of counts dropped": with_fewer_counts(share, options.seed) for share in (0.5, 0.8)}
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        labels = options.section / "labels.csv"
        given = ["--labels", labels] if labels.exists() else []
        given += [] if has_image else ["--image", "none"]
        program("read_section", "--sample", "S", "--source", options.section, "--outdir", folder, *given)
        section = folder / "section.h5ad"
        features = features_of(section, options.section, folder) if has_image else []
        whole, fit = applied(section, features, options, folder)
        truth = labels_of(section)
        print(row("as it is", whole, fit, whole, truth), flush=True)
        for name, change in changes.items():
            change(anndata.read_h5ad(section)).write_h5ad(folder / "changed.h5ad")
            print(row(name, *applied(folder / "changed.h5ad", features, options, folder), whole, truth), flush=True)
        if has_image:
            shifted = stained_otherwise(options.section, folder / "shifted")
            features = features_of(section, shifted, folder)
            print(row("another stain", *applied(section, features, options, folder), whole, truth), flush=True)


if __name__ == "__main__":
    main()
