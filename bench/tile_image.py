#!/usr/bin/env python3
"""Spots per second and peak memory of cutting patches, for images of several kinds and sizes. Prints a Markdown table.

    ./efnst python bench/tile_image.py [--large] [--rounds 3]

Every row is a process of its own on one core: opening the image, cutting, measuring and writing patches, without the
start of Python; "per CPU s" is what a machine that does nothing else would reach. The images are synthetic tissue, not
blank: H&E compresses about as well. `--large` adds images of 30,000 × 30,000 px, for which 5 GB of disk are needed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyvips
import tifffile
from programs import BIN

ONE_CORE = {"VIPS_CONCURRENCY": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(BIN)}
# Arguments: image, its side, number of spots, µm per px, file for the patches.
CUT = """
import json, os, sys, time
from pathlib import Path
import numpy as np
from efnst.image.patches import window_of, write_patches
from efnst.image.places import Places

image, side, n_spots, um_per_px, target = Path(sys.argv[1]), *map(float, sys.argv[2:5]), Path(sys.argv[5])
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
window, n = window_of(190, um_per_px), int(n_spots**0.5)
places = np.linspace(window.window_px, side - window.window_px, n)
centres = np.column_stack([axis.ravel() for axis in np.meshgrid(places, places)])
start, cpu = time.perf_counter(), time.process_time()
write_patches(target, image, Places(np.arange(len(centres)).astype(str), centres, None), 1.0, [window], um_per_px)
seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
with open("/proc/self/status") as status:
    peak = next(line for line in status if line.startswith("VmHWM")).split()[1]
print(json.dumps([len(centres), window.window_px, seconds, cpu, int(peak) * 1024 / 1e6]))
"""


def tissue(side: int) -> pyvips.Image:
    """Synthetic tissue: glass, eosin and nuclei at several scales, with the noise of a camera."""
    fine = pyvips.Image.perlin(min(side, 2000), min(side, 2000), cell_size=24, seed=1)
    coarse = pyvips.Image.perlin(min(side, 2000), min(side, 2000), cell_size=400, seed=2)
    noise = pyvips.Image.gaussnoise(min(side, 2000), min(side, 2000), mean=0, sigma=4, seed=3)
    eosin, nuclei = coarse > 0, fine > 0.35
    pink = nuclei.ifthenelse([96, 64, 140], [214, 140, 186])
    block = (eosin.ifthenelse(pink, [243, 242, 244]) + noise).cast("uchar").copy_memory()
    times = -(-side // 2000)
    return block.replicate(times, times).crop(0, 0, side, side).copy(interpretation="srgb")


def save(path: Path, image: pyvips.Image, layout: str) -> None:
    """Write the image in one of the layouts of `CASES`."""
    if layout == "one strip":
        pixels = tifffile.memmap(path, shape=(image.height, image.width, 3), dtype=np.uint8, photometric="rgb")
        for first in range(0, image.height, 1000):
            pixels[first : first + 1000] = image.crop(0, first, image.width, 1000).numpy()
        pixels.flush()
        return
    options = {
        "PNG": {},
        "JPEG": {"Q": 85},
        "progressive JPEG": {"Q": 85, "interlace": True},
        "tiles, LZW": {"tile": True, "tile_width": 256, "tile_height": 256, "compression": "lzw", "bigtiff": True},
        "tiles, JPEG": {"tile": True, "tile_width": 256, "tile_height": 256, "compression": "jpeg", "bigtiff": True},
    }
    image.write_to_file(str(path), **options[layout])


# Name of the file, layout, side in px, spots, µm per px.
CASES = [
    ("hires.png", "PNG", 2000, 4900, 3.8),
    ("hires.jpg", "JPEG", 2000, 4900, 3.8),
    ("full.jpg", "JPEG", 10_000, 4900, 0.75),
    ("full_progressive.jpg", "progressive JPEG", 10_000, 4900, 0.75),
]
LARGE = [
    ("strip.tif", "one strip", 30_000, 4900, 0.25),
    ("lzw.tif", "tiles, LZW", 30_000, 4900, 0.25),
    ("slide.svs.tif", "tiles, JPEG", 30_000, 4900, 0.25),
]


def measure(image: Path, side: int, n_spots: int, um_per_px: float, rounds: int) -> list[float]:
    """Spots, window in px, median seconds, median CPU seconds and largest peak MB of some runs."""
    command = [sys.executable, "-P", "-c", CUT, image, side, n_spots, um_per_px, image.with_suffix(".h5")]
    runs = []
    for _ in range(rounds):
        done = subprocess.run(
            [str(part) for part in command], env=os.environ | ONE_CORE, capture_output=True, check=True
        )
        runs.append(json.loads(done.stdout))
    image.with_suffix(".h5").unlink()
    _, _, seconds, cpu, peak = zip(*runs, strict=True)
    return [*runs[0][:2], float(np.median(seconds)), float(np.median(cpu)), max(peak)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("| image | px a side | window, px | spots | spots per s | per CPU s | peak memory, MB |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, layout, side, n_spots, um_per_px in CASES + (LARGE if options.large else []):
            path = Path(folder) / name
            save(path, tissue(side), layout)
            n, window_px, seconds, cpu, peak = measure(path, side, n_spots, um_per_px, options.rounds)
            path.unlink()
            kind = "TIFF, " * path.name.endswith("tif") + layout
            print(
                f"| {kind} | {side} | {window_px} | {n} | {n / seconds:.0f} | {n / cpu:.0f} | {peak:.0f} |", flush=True
            )


if __name__ == "__main__":
    main()
