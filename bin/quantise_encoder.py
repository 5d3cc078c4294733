#!/usr/bin/env python3
"""Quantise an exported encoder to int8, and check its features on patches that it was not calibrated with."""

from pathlib import Path
from typing import Annotated

import typer

from efnst.encoder.options import QuantisationOptions
from efnst.program.arguments import Outdir, StainReferenceFile, Threads
from efnst.program.cli import run


def main(
    patches: Annotated[list[Path], typer.Argument(help="patches.h5 of tile_image.py, one for each section.")],
    encoder: Annotated[Path, typer.Option(help="encoder.onnx of export_encoder.py, in fp32.")],
    record: Annotated[Path, typer.Option(help="encoder.json beside it.")],
    stain_reference: StainReferenceFile = None,
    n_patches: Annotated[
        int, typer.Option("--n_patches", help="Patches drawn; one half calibrates, the other is held out.", min=2)
    ] = 256,
    threads: Threads = 1,
    outdir: Outdir = Path(),
    options: QuantisationOptions = QuantisationOptions(),
) -> None:
    """Quantise an encoder to int8 with patches of the cohort."""
    from efnst.encoder.precision import to_int8
    from efnst.encoder.sample import sample_patches
    from efnst.errors import EfnstError
    from efnst.image.stain.normaliser import read_normaliser
    from efnst.program.cli import log, versions
    from efnst.records.base import read_record, write_record
    from efnst.records.encoder import EncoderRecord

    if options.device not in ("auto", "cpu"):
        raise EfnstError(
            f"Expected --device auto or cpu for --precision int8, which runs on a CPU only, found {options.device}. "
            "Choose --precision fp16 for a GPU."
        )
    sections = [
        (path, read_normaliser(options.stain_normalisation, path.with_name("image_qc.json"), stain_reference))
        for path in patches
    ]
    drawn = sample_patches(sections, n_patches, options.seed)
    figures = to_int8(encoder, outdir / "encoder.onnx", drawn, threads, options.seed)
    exported = read_record(record, EncoderRecord)
    libraries = exported.versions | versions("onnx", "onnxruntime")
    write_record(outdir / "encoder.json", exported.changed(precision="int8", versions=libraries, **figures))
    log.info(
        "%s quantised to int8 with %d patches: cosine to fp32 on %d others %.4f (median), %.4f (least)",
        exported.encoder,
        *(figures[key] for key in ("n_calibration", "n_held_out", "median_cosine", "least_cosine")),
    )


if __name__ == "__main__":
    run(main)
