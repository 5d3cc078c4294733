#!/usr/bin/env python3
"""Run the exported encoder over a section's patches."""

from pathlib import Path
from typing import Annotated

import typer

from efnst.encoder.options import FeatureOptions
from efnst.program.cli import run


def main(
    sample: Annotated[str, typer.Option(help="Name of the sample.")],
    patches: Annotated[Path, typer.Option(help="patches.h5 of tile_image.py.")],
    encoder: Annotated[Path, typer.Option(help="encoder.onnx of export_encoder.py.")],
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1)] = 1,
    stain: Annotated[Path | None, typer.Option(help="image_qc.json of tile_image.py, for the normalisation.")] = None,
    stain_reference: Annotated[
        Path | None, typer.Option("--stain_reference", help="stain_reference.json of fit_stain.py.")
    ] = None,
    outdir: Annotated[Path, typer.Option(help="Folder for features.npz and features.json.")] = Path("."),
    failure: Annotated[
        Path | None, typer.Option(help="Write an input error to this file and end with status 0.")
    ] = None,
    options: FeatureOptions = FeatureOptions(),
) -> None:
    """Turn each patch into image features with the exported encoder, run by onnxruntime."""
    import time

    import h5py
    import numpy as np

    from efnst.encoder.device import open_encoder
    from efnst.encoder.features import embed, patch_datasets
    from efnst.image.stain.normaliser import read_normaliser
    from efnst.program.arrays import write_arrays
    from efnst.program.cli import log, versions
    from efnst.records.arrays import BARCODES, FEATURES_NPZ
    from efnst.records.base import write_record
    from efnst.records.encoder import FeaturesRecord

    start = time.perf_counter()
    normalise = read_normaliser(options.stain_normalisation, stain, stain_reference)
    if options.stain_normalisation != "none" and normalise is None:
        log.warning("%s: no statistics of its stains, its patches stay as they are", sample)
    opened = open_encoder(encoder, options.device, threads)
    log.info("%s: device %s, %s", sample, opened.device, opened.reason)
    with h5py.File(patches) as file:
        barcodes = file[BARCODES.name].asstr()[:]
        loop = time.perf_counter()
        patch_um = [float(dataset.attrs["patch_um"]) for dataset in patch_datasets(file)]
        embedded = embed(opened, file, options.batch_size, normalise)
        seconds = time.perf_counter() - loop
    widths = np.array(patch_um)
    write_arrays(outdir / "features.npz", FEATURES_NPZ, barcodes, features=embedded.features, patch_um=widths)
    record = FeaturesRecord(
        sample=sample,
        device=opened.device,
        device_reason=opened.reason,
        provider=opened.provider,
        precision=opened.precision,
        operators=opened.operators,
        operators_on_cpu=opened.on_cpu,
        threads=threads,
        stain_normalisation=options.stain_normalisation if normalise else "none",
        batch_size=embedded.batch_size,
        n_spots=len(barcodes),
        n_features=embedded.features.shape[1],
        seconds=round(time.perf_counter() - start, 3),
        spots_per_second=round(len(barcodes) / seconds, 2),
        encoder_share=round(embedded.encoder_seconds / seconds, 4),
        versions=versions("onnxruntime"),
    )
    write_record(outdir / "features.json", record)
    log.info("%s: %d spots embedded, %.0f per second", sample, len(barcodes), len(barcodes) / seconds)


if __name__ == "__main__":
    run(main, uses_torch=True)  # imported on a GPU only
