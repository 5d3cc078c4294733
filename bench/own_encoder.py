#!/usr/bin/env python3
"""Patches per second of EMBED_PATCHES with encoders of one's own, beside bare onnxruntime and PyTorch, in turn.

    ./efnst python bench/own_encoder.py --patches patches.h5 --encoders vit_s.onnx=vit_small_patch16_224 mine.onnx
        [--n_patches 64] [--threads 2] [--rounds 5]

After `=` the architecture of timm that an encoder was exported from: PyTorch runs it in eager mode, in the batches of
EMBED_PATCHES and on images of its own size, so that resize and normalisation do not count against it. timm is found in
the cache of `./efnst encoder export`. Prints a Markdown table: medians over the rounds, each of which runs all three.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
from encoder import rate
from programs import BIN, program

sys.path.insert(0, str(BIN))
sys.path += map(str, Path(os.environ.get("EFNST_CACHE", "")).glob("encoders-*/"))

from efnst.encoder.declaration import read_declaration
from efnst.encoder.device import OpenEncoder, open_encoder
from efnst.encoder.features import CPU_BATCH, embed, patch_datasets

COLUMNS = ("encoder", "threads", "EMBED_PATCHES, patches/s", "of bare onnxruntime (range)", "PyTorch eager", "ratio")


def subset(source: Path, n: int, target: Path) -> np.ndarray:
    """Write the first `n` patches of a file to another; return them."""
    with h5py.File(source) as file, h5py.File(target, "w") as made:
        dataset = patch_datasets(file)[0]
        patches = dataset[:n]
        made[dataset.name] = patches
        made[dataset.name].attrs.update(dataset.attrs)
    return patches


def bare(encoder: OpenEncoder, patches: np.ndarray) -> Callable[[], None]:
    """What runs batches that lie ready in memory."""

    def run() -> None:
        for first in range(0, len(patches), CPU_BATCH):
            encoder.session.run(None, {"patches": patches[first : first + CPU_BATCH]})

    return run


def eager(architecture: str, px: int, n: int) -> Callable[[], None]:
    """What runs `n` images through an architecture of timm."""
    import timm

    network = timm.create_model(architecture, num_classes=0).eval()
    images = torch.rand(CPU_BATCH, 3, px, px)

    def run() -> None:
        with torch.inference_mode():
            for _ in range(0, n, CPU_BATCH):
                network(images)

    return run


def row(entry: str, options: argparse.Namespace, work: Path) -> list[str]:
    """One line of the table."""
    name, _, architecture = entry.partition("=")
    program("export_encoder", "--encoder_onnx", name, "--outdir", work)
    patches = subset(options.patches, options.n_patches, work / "patches.h5")
    declared = read_declaration(Path(name).with_suffix(".json"), Path(name))
    torch.set_num_threads(options.threads)
    opened = open_encoder(work / "encoder.onnx", "cpu", options.threads)
    with h5py.File(work / "patches.h5") as file:
        works = [lambda: embed(opened, file, CPU_BATCH), bare(opened, patches)]
        works += [eager(architecture, declared.input_px, len(patches))] if architecture else []
        works[1]()
        rates = np.array([[rate(len(patches), each) for each in works] for _ in range(options.rounds)])
    ours, ratio = np.median(rates[:, 0]), rates[:, 0] / rates[:, 1]
    torch_rate = np.median(rates[:, 2]) if architecture else np.nan
    return [
        *(declared.name, str(options.threads), f"{ours:.2f}"),
        f"{np.median(ratio):.3f} ({ratio.min():.3f} to {ratio.max():.3f})",
        *(f"{torch_rate:.2f}", f"{ours / torch_rate:.2f} ×"),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=Path, required=True)
    parser.add_argument("--encoders", nargs="+", required=True, metavar="FILE.onnx[=ARCHITECTURE]")
    parser.add_argument("--n_patches", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for entry in options.encoders:
        with tempfile.TemporaryDirectory() as folder:
            print(f"| {' | '.join(row(entry, options, Path(folder)))} |", flush=True)


if __name__ == "__main__":
    main()
