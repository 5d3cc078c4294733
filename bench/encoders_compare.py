#!/usr/bin/env python3
"""Which of several encoders helps on one's own sections, beside EfficientNet and no image. Prints a Markdown table.

    ./efnst python bench/encoders_compare.py --sections A=section_a B=section_b --encoders mine.onnx other.onnx
        [--images A=a.tif] [--n_domains A=7] [--patches_per_spot 1] [--seed 0] [--threads 2]

A section is anything that the column `section` of a samplesheet takes; a `labels.csv` in its folder gives the ARI.
Each encoder is run as the pipeline runs it: its declaration decides the window, the default fusion how much the image
counts. Evidence is the log-likelihood of held-out counts in nats a count, and what of it the image adds; it needs no
labels. CHAOS and PAS are lower where domains are more compact; `stability` is the mean ARI of all pairs of trainings.
Where the row of an encoder is no better than that without an image, it did not help on that section.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import anndata
from accuracy import domains_of
from programs import BIN, program

sys.path.insert(0, str(BIN))

from efnst.domains.options import DomainOptions
from efnst.embedding.options import TrainingOptions
from efnst.encoder.declaration import read_declaration
from efnst.names import DOMAIN
from efnst.program.arrays import read_arrays
from efnst.records.arrays import FEATURES_NPZ

NO_IMAGE, DEFAULT = "none", "efficientnet-lite0"
SCORES = ("chaos", "pas", "stability", "ari")


def read_section(name: str, source: Path, image: str, work: Path) -> Path:
    """The section as the pipeline reads it."""
    labels = source / "labels.csv"
    given = ["--labels", labels] if labels.exists() else []
    given += ["--image", image] if image else []
    program("read_section", "--sample", name, "--source", source, "--outdir", work, *given)
    return work / "section.h5ad"


def export(encoder: str, work: Path) -> list[object]:
    """Export an encoder into `work`; what tile_image.py is given of it."""
    if encoder == DEFAULT:
        program("export_encoder", "--outdir", work)
        return []
    program("export_encoder", "--encoder_onnx", encoder, "--outdir", work)
    declaration = Path(encoder).with_suffix(".json")
    return ["--declaration", declaration] if read_declaration(declaration, Path(encoder)).um_per_px else []


def features(name: str, source: Path, image: str, section: Path, encoder: str, options: argparse.Namespace) -> dict:
    """The arrays of the image features of a section by one encoder."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        where = ["--section", section, "--source", source, "--outdir", work, *export(encoder, work)]
        where += ["--image", image] if image else []
        ring = options.patches_per_spot if encoder != DEFAULT else 1
        program("tile_image", "--sample", name, "--patches_per_spot", ring, *where)
        files = ["--patches", work / "patches.h5", "--encoder", work / "encoder.onnx", "--threads", options.threads]
        program("embed_patches", "--sample", name, "--outdir", work, *files)
        barcodes = anndata.read_h5ad(section, backed="r").obs_names.to_numpy()
        return read_arrays(work / name / "features.npz", FEATURES_NPZ, barcodes)


def row(section: Path, arrays: dict, n_domains: int | None, options: argparse.Namespace) -> list[str]:
    """The scores of the domains found with these image features."""
    spots = anndata.read_h5ad(section)
    asked = n_domains or DomainOptions().n_domains
    record = domains_of(spots, arrays, asked, options.seed, options.threads, TrainingOptions().n_seeds)
    scores, evidence = record["methods"][DOMAIN], record["evidence"]
    image = evidence["ingredients"].get("image")
    added = f"{image['gain']:.4f} ± {image['error']:.4f} ({image['verdict']})" if image else "–"
    found = [str(record["n_domains_found"]), f"{evidence['methods'][DOMAIN]['gain']:.4f}", added]
    return found + [f"{scores[name]:.3f}" if scores.get(name) is not None else "–" for name in SCORES]


def named(entries: list[str]) -> dict[str, str]:
    """`NAME=VALUE` entries as a dictionary."""
    return dict(entry.split("=", 1) for entry in entries)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sections", nargs="+", required=True, metavar="NAME=PATH")
    parser.add_argument("--encoders", nargs="+", default=[], metavar="FILE.onnx")
    parser.add_argument("--images", nargs="+", default=[], metavar="NAME=PATH")
    parser.add_argument("--n_domains", nargs="+", default=[], metavar="NAME=K")
    parser.add_argument("--patches_per_spot", type=int, choices=(1, 7), default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    images, numbers = named(options.images), named(options.n_domains)
    columns = ["section", "encoder", "domains", "evidence", "of it the image's", "CHAOS", "PAS", "stability", "ARI"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name, source in named(options.sections).items():
        with tempfile.TemporaryDirectory() as folder:
            section = read_section(name, Path(source), images.get(name, ""), Path(folder))
            for encoder in [NO_IMAGE, DEFAULT, *options.encoders]:
                given = (name, Path(source), images.get(name, ""), section, encoder, options)
                arrays = {} if encoder == NO_IMAGE else features(*given)
                cells = row(section, arrays, int(numbers.get(name, 0)), options)
                print(f"| {name} | {Path(encoder).stem} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
