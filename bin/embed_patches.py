#!/usr/bin/env python3
"""Run the exported encoder over a section's patches."""

from pathlib import Path
from typing import Annotated

import typer

from efnst.encoder.options import FeatureOptions
from efnst.program.arguments import Failure, Outdir, Sample, StainReferenceFile, Threads
from efnst.program.cli import run


def main(
    sample: Sample,
    patches: Annotated[Path, typer.Option(help="patches.h5 of tile_image.py.")],
    encoder: Annotated[Path, typer.Option(help="encoder.onnx of export_encoder.py.")],
    threads: Threads = 1,
    stain: Annotated[Path | None, typer.Option(help="image_qc.json of tile_image.py, for the normalisation.")] = None,
    stain_reference: StainReferenceFile = None,
    outdir: Outdir = Path(),
    failure: Failure = None,
    options: FeatureOptions = FeatureOptions(),
) -> None:
    """Turn each patch into image features with the exported encoder, run by onnxruntime."""
    import time

    import numpy as np

    from efnst.encoder.device import open_encoder
    from efnst.encoder.features import covered_um, embed, features_record, patch_datasets
    from efnst.image.stain.normaliser import read_normaliser
    from efnst.inputs.hdf5 import opened
    from efnst.program.arrays import write_arrays
    from efnst.program.cli import log
    from efnst.records.arrays import BARCODES, BETWEEN, FEATURES_NPZ
    from efnst.records.base import write_record
    from efnst.records.encoder import FeaturesRecord

    start = time.perf_counter()
    normalise = read_normaliser(options.stain_normalisation, stain, stain_reference)
    if options.stain_normalisation != "none" and normalise is None:
        log.warning("%s: no statistics of its stains, its patches stay as they are", sample)
    network = open_encoder(encoder, options.device, threads)
    log.info("%s: device %s, %s", sample, network.device, network.reason)
    with opened(patches) as file:
        barcodes = file[BARCODES.name].asstr()[:]
        loop = time.perf_counter()
        patch_um = np.array([covered_um(dataset) for dataset in patch_datasets(file)])
        lattice = {array.name: file[array.name][:] for array in BETWEEN if array.name in file}
        embedded = embed(network, file, options.batch_size, normalise)
        seconds = time.perf_counter() - loop
    arrays = {"features": embedded.features, "patch_um": patch_um} | lattice
    write_arrays(outdir / "features.npz", FEATURES_NPZ, barcodes, **arrays)
    figures = features_record(network, embedded, seconds, threads)
    figures["stain_normalisation"] = options.stain_normalisation if normalise else "none"
    figures["seconds"] = round(time.perf_counter() - start, 3)
    write_record(outdir / "features.json", FeaturesRecord(sample=sample, **figures))
    log.info("%s: %d patches embedded, %.3g per second", sample, embedded.n_patches, embedded.n_patches / seconds)


if __name__ == "__main__":
    run(main)
