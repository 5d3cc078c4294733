#!/usr/bin/env python3
"""Run the exported encoder over the patches of sections."""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from efnst.encoder.options import FeatureOptions
from efnst.program.arguments import SAME_ORDER, Failures, Outdir, Samples, StainReferenceFile, Threads, one_for_each
from efnst.program.cli import run

if TYPE_CHECKING:
    from efnst.encoder.device import OpenEncoder
    from efnst.encoder.features import Prepare

STEP = "embed_patches"


def main(
    sample: Samples,
    patches: Annotated[list[Path], typer.Option(help=f"patches.h5 of tile_image.py, {SAME_ORDER}.")],
    encoder: Annotated[Path, typer.Option(help="encoder.onnx of export_encoder.py.")],
    threads: Threads = 1,
    stain: Annotated[
        list[Path] | None, typer.Option(help=f"image_qc.json of tile_image.py, for the normalisation, {SAME_ORDER}.")
    ] = None,
    stain_reference: StainReferenceFile = None,
    outdir: Outdir = Path(),
    failures: Failures = False,
    options: FeatureOptions = FeatureOptions(),
) -> None:
    """Turn each patch into image features with the exported encoder, run by onnxruntime.

    The encoder is opened once for all sections. Writes SAMPLE/features.npz and SAMPLE/features.json of each of them.
    """
    from efnst.encoder.cache import sha256
    from efnst.encoder.device import open_encoder
    from efnst.image.stain.normaliser import read_normaliser
    from efnst.program.cli import left_out, log

    stains = stain or [None] * len(sample)
    one_for_each(sample, patches=patches, stain=stains)
    network = open_encoder(encoder, options.device, threads)
    log.info("device %s, %s", network.device, network.reason)
    brought_to = sha256(stain_reference) if stain_reference else ""
    for name, file, own_stain in zip(sample, patches, stains, strict=True):
        with left_out(name, STEP, outdir, len(sample), failures):
            normalise = read_normaliser(options.stain_normalisation, own_stain, stain_reference)
            if options.stain_normalisation != "none" and normalise is None:
                log.warning("%s: no statistics of its stains, its patches stay as they are", name)
            fitting = _embed_section(name, file, network, normalise, brought_to, threads, options, outdir / name)
            options = replace(options, batch_size=fitting)


def _embed_section(
    sample: str,
    patches: Path,
    network: "OpenEncoder",
    normalise: "Prepare | None",
    brought_to: str,
    threads: int,
    options: FeatureOptions,
    outdir: Path,
) -> int:
    """features.npz and features.json of one section; returns how many patches were run at once.

    `brought_to`: SHA-256 of the stain reference that `normalise` brings patches to.
    """
    import numpy as np

    from efnst.encoder.features import covered_um, embed, features_record, patch_datasets
    from efnst.inputs.hdf5 import opened
    from efnst.program.arrays import write_arrays
    from efnst.program.cli import log
    from efnst.records.arrays import BARCODES, BETWEEN, FEATURES_NPZ
    from efnst.records.base import write_record
    from efnst.records.encoder import FeaturesRecord

    start = time.perf_counter()
    with opened(patches) as file:
        barcodes = file[BARCODES.name].asstr()[:]
        loop = time.perf_counter()
        patch_um = np.array([covered_um(dataset) for dataset in patch_datasets(file)])
        lattice = {array.name: file[array.name][:] for array in BETWEEN if array.name in file}
        embedded = embed(network, file, options.batch_size, normalise)
        seconds = time.perf_counter() - loop
    arrays = {"features": embedded.features, "patch_um": patch_um} | lattice
    outdir.mkdir(parents=True, exist_ok=True)
    write_arrays(outdir / "features.npz", FEATURES_NPZ, barcodes, **arrays)
    figures = features_record(network, embedded, seconds, threads)
    figures["stain_normalisation"] = options.stain_normalisation if normalise else "none"
    figures |= {"stain_sha256": brought_to} if normalise else {}
    figures["asked"] = {"stain_normalisation": options.stain_normalisation}
    figures["seconds"] = round(time.perf_counter() - start, 3)
    write_record(outdir / "features.json", FeaturesRecord(sample=sample, **figures))
    log.info("%s: %d patches embedded, %.3g per second", sample, embedded.n_patches, embedded.n_patches / seconds)
    return embedded.batch_size


if __name__ == "__main__":
    run(main)
