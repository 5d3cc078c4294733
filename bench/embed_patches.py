#!/usr/bin/env python3
"""Spots per second of EMBED_PATCHES beside a bare onnxruntime loop over ready-made batches. Prints a Markdown table.

    ./efnst python bench/embed_patches.py --patches patches.h5 --encoder encoder.onnx [--threads 2] [--rounds 5]

The two are run in turn on the same patches, with the same threads and batch size; the ratio is taken pair by pair.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bin"))

from efnst.features import embed, open_encoder, patch_datasets


def seconds(work: Callable[[], object]) -> float:
    """Wall time of `work`."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch_size", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    session = open_encoder(options.encoder, "cpu", options.threads)
    print("| batch size | EMBED_PATCHES, spots per s | bare onnxruntime | ratio (median, min to max) |")
    print("|---|---|---|---|")
    with h5py.File(options.patches) as file:
        patches = patch_datasets(file)[0][:]
        for size in options.batch_size:
            batches = [patches[start : start + size] for start in range(0, len(patches), size)]
            session.run(None, {"patches": batches[0]})
            pairs = []
            for _ in range(options.rounds):
                ours = seconds(lambda size=size: embed(session, file, size))
                bare = seconds(lambda ready=batches: [session.run(None, {"patches": batch}) for batch in ready])
                pairs.append((len(patches) / ours, len(patches) / bare))
            ours, bare = np.median(pairs, axis=0)
            ratio = [a / b for a, b in pairs]
            spread = f"{np.median(ratio):.2f} ({min(ratio):.2f} to {max(ratio):.2f})"
            print(f"| {size} | {ours:.1f} | {bare:.1f} | {spread} |", flush=True)


if __name__ == "__main__":
    main()
