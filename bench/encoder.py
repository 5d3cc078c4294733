#!/usr/bin/env python3
"""Patches per second of EMBED_PATCHES for each encoder, precision and number of threads. Prints a Markdown table.

    ./efnst python bench/encoder.py --patches patches.h5 [more.h5 …] [--encoders …] [--precision fp32 int8]
        [--threads 1 2] [--device cpu] [--rounds 3]

Beside it, in turn on the same patches: bare onnxruntime over batches that lie ready in memory, PyTorch one patch at a
time (what the published code does) and PyTorch with channels last and batches of 32. `floor` is the rate at which the
device would do nothing but the network's multiply-adds, at the speed of a large matrix product measured here in fp32
(fp16 for an fp16 encoder). `memory` is the largest of the whole program embed_patches.py. Encoders whose weights are
neither installed nor downloadable are left out, and said to be.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
from programs import BIN, ProgramError, measured, program
from torch import nn

sys.path.insert(0, str(BIN))

from efnst.encoder.device import ON_GPU, PROVIDERS, OpenEncoder, open_encoder
from efnst.encoder.efficientnet import ENCODERS, PatchEncoder, load_encoder
from efnst.encoder.features import LARGEST_BATCH, embed, patch_datasets
from efnst.errors import EfnstError

COLUMNS = (
    *("encoder", "precision", "threads", "batch", "EMBED_PATCHES, patches/s", "of bare onnxruntime (range)"),
    *("PyTorch batch 1", "ratio", "PyTorch batch 32", "floor", "memory, MB", "on CPU"),
)
ONE_BY_ONE = 24  # patches for PyTorch with batch 1 on a CPU


def rate(n: int, work: Callable[[], object]) -> float:
    """`n` by the seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return n / (time.perf_counter() - start)


def multiply_adds(encoder: PatchEncoder, input_px: int) -> int:
    """Multiply-adds of the convolutions and linear layers for one patch that has the network's own size."""
    total = 0

    def count(layer: nn.Module, _inputs: tuple, output: torch.Tensor) -> None:
        nonlocal total
        total += output.numel() * layer.weight[0].numel()

    layers = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        encoder(torch.zeros(1, input_px, input_px, 3, dtype=torch.uint8))
    for hook in hooks:
        hook.remove()
    return total


def peak_multiply_adds(device: str, dtype: torch.dtype) -> float:
    """Multiply-adds per second of the fastest of some large matrix products."""
    n = 8192 if device == "cuda" else 2048
    a = torch.rand(n, n, device=device, dtype=dtype)
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        if device == "cuda":
            torch.cuda.synchronize()
        best = max(best, n**3 / (time.perf_counter() - start))
    return best


def torch_rates(encoder: PatchEncoder, patches: np.ndarray, device: str, half: bool) -> tuple[float, float]:
    """Patches per second of PyTorch, one patch at a time and in batches of 32 with channels last."""
    encoder, rows = encoder.to(device), torch.from_numpy(patches)

    def run(rows: torch.Tensor, size: int) -> None:
        precise = torch.autocast("cuda", torch.float16) if half else contextlib.nullcontext()
        with torch.no_grad(), precise:
            for first in range(0, len(rows), size):
                encoder(rows[first : first + size].to(device)).cpu()

    n_single = len(rows) if device == "cuda" else min(ONE_BY_ONE, len(rows))
    run(rows[:2], 1)
    single = rate(n_single, lambda: run(rows[:n_single], 1))
    encoder.to(memory_format=torch.channels_last)
    run(rows[:32], 32)
    return single, rate(len(rows), lambda: run(rows, 32))


def pairs(encoder: OpenEncoder, file: h5py.File, patches: np.ndarray, rounds: int) -> tuple[np.ndarray, int]:
    """Patches per second [rounds, 2] of EMBED_PATCHES and of bare onnxruntime in turn, and the batch size used."""
    size = embed(encoder, file).batch_size
    batches = [patches[first : first + size] for first in range(0, len(patches), size)]

    def bare() -> None:
        for batch in batches:
            encoder.session.run(None, {"patches": batch})

    bare()
    return np.array(
        [[rate(len(patches), lambda: embed(encoder, file, size)), rate(len(patches), bare)] for _ in range(rounds)]
    ), size


def peak_memory_mb(encoder: Path, patches: Path, threads: int, device: str, work: Path) -> float:
    """Largest resident memory of embed_patches.py."""
    given = ["--sample", "bench", "--patches", patches, "--encoder", encoder, "--outdir", work / "features"]
    return measured("embed_patches", *given, "--threads", threads, "--device", device).peak * 1e9 / 2**20


def export(name: str, precision: str, files: list[Path], work: Path) -> Path:
    """The encoder `name` in `precision`, calibrated with the patches of `files` for int8."""
    folder = work / f"{name}-{precision}"
    if precision != "int8":
        program("export_encoder", "--encoder", name, "--precision", precision, "--outdir", folder)
        return folder / "encoder.onnx"
    fp32 = work / f"{name}-fp32"
    program("export_encoder", "--encoder", name, "--outdir", fp32)
    source = ["--encoder", fp32 / "encoder.onnx", "--record", fp32 / "encoder.json"]
    program("quantise_encoder", *source, *files, "--threads", os.cpu_count(), "--outdir", folder)
    return folder / "encoder.onnx"


def row(name: str, precision: str, threads: int, options: argparse.Namespace, work: Path) -> list[object]:
    """One line of the table."""
    path = export(name, precision, options.patches, work)
    torch.set_num_threads(threads)
    network, input_px, _ = load_encoder(name)
    on_gpu = options.device in ON_GPU
    half = precision == "fp16"
    device = "cuda" if on_gpu else "cpu"
    floor = peak_multiply_adds(device, torch.float16 if half else torch.float32) / multiply_adds(network, input_px)
    with h5py.File(options.patches[0]) as file:
        patches = patch_datasets(file)[0][:]
        encoder = open_encoder(path, options.device, threads)
        rates, size = pairs(encoder, file, patches, options.rounds)
    single, batched = torch_rates(network, patches[: LARGEST_BATCH * 4 if on_gpu else 32 * 2], device, half)
    ours = np.median(rates[:, 0])
    ratio = rates[:, 0] / rates[:, 1]
    return [
        *(name, precision, threads, size, f"{ours:.1f}"),
        f"{np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f})",
        *(f"{single:.1f}", f"{ours / single:.1f} ×", f"{batched:.1f}", f"{floor:.0f}"),
        f"{peak_memory_mb(path, options.patches[0], threads, options.device, work):.0f}",
        ", ".join(f"{n} {kind}" for kind, n in encoder.on_cpu.items()) or "–",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=Path, nargs="+", required=True)
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=ENCODERS)
    parser.add_argument("--precision", nargs="+", default=["fp32"])
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("--device", choices=PROVIDERS, default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for name in options.encoders:
        for precision in options.precision:
            for threads in options.threads:
                with tempfile.TemporaryDirectory() as folder:
                    try:
                        cells = row(name, precision, threads, options, Path(folder))
                        print(f"| {' | '.join(map(str, cells))} |", flush=True)
                    except (EfnstError, ProgramError) as error:
                        print(f"left out: {name} {precision}: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
