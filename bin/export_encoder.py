#!/usr/bin/env python3
"""Export an encoder to ONNX: uint8 patches in, features out; resize and normalisation are inside."""

from pathlib import Path
from typing import Annotated

import typer

from efnst.encoder.options import EncoderOptions
from efnst.program.cli import run


def main(
    weights: Annotated[
        Path | None,
        typer.Option(help="Weights of the encoder (a PyTorch state dict); without: installed or downloaded."),
    ] = None,
    encoder_onnx: Annotated[
        Path | None,
        typer.Option("--encoder_onnx", help="An encoder of your own, ONNX or TorchScript, instead of --encoder."),
    ] = None,
    declaration: Annotated[
        Path | None, typer.Option(help="JSON that declares it; without: the file beside it that ends in .json.")
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1)] = 1,
    outdir: Annotated[Path, typer.Option(help="Folder for encoder.onnx and encoder.json.")] = Path("."),
    options: EncoderOptions = EncoderOptions(),
) -> None:
    """Export an encoder to ONNX, with resize and normalisation inside, and check it against PyTorch.

    With precision int8 it is exported in fp32, which quantise_encoder.py starts from.
    """
    from efnst.embedding.reproducible import reproducible_torch
    from efnst.encoder.cache import cached, sha256
    from efnst.encoder.efficientnet import export_encoder, find_weights, load_encoder, probe_patches
    from efnst.encoder.own import export_own_encoder, read_declaration
    from efnst.encoder.precision import to_fp16
    from efnst.errors import EfnstError
    from efnst.program.cli import log, versions
    from efnst.records.base import write_record
    from efnst.records.encoder import EncoderRecord

    encoder, output = options.encoder, options.encoder_output
    precision = "fp16" if options.precision == "fp16" else "fp32"
    identity = {"precision": precision, "versions": versions("torch", "onnx", "onnxruntime")}
    if encoder_onnx is not None:
        if weights is not None or output != "pooled":
            raise EfnstError("Expected --encoder_onnx alone, found it with --weights or --encoder_output logits.")
        declared = read_declaration(declaration or encoder_onnx.with_suffix(".json"), encoder_onnx)
        source = {"file": encoder_onnx.name, "sha256": sha256(encoder_onnx)}
        identity |= {"encoder": declared.name, "declaration": declared.as_record(), "weights": source}
    else:
        declared = None
        weights, source = find_weights(encoder, weights)
        identity |= {"encoder": encoder, "output": output, "weights": source}

    def export(folder: Path) -> None:
        path = folder / "encoder.onnx"
        with reproducible_torch(threads, 0):
            if declared is not None:
                folder.mkdir(parents=True, exist_ok=True)
                figures = {
                    "input_px": declared.input_px,
                    "n_features": export_own_encoder(encoder_onnx, declared, path),
                }
            else:
                network, input_px, _ = load_encoder(encoder, weights, output=output)
                folder.mkdir(parents=True, exist_ok=True)
                difference, n_features = export_encoder(network, path)
                figures = {"input_px": input_px, "n_features": n_features, "max_relative_difference": difference}
            if precision == "fp16":
                figures["least_cosine"] = to_fp16(path, probe_patches(grain_px=5))
        write_record(folder / "encoder.json", EncoderRecord(**identity, **figures))
        log.info("%s exported in %s: %d features", identity["encoder"], precision, figures["n_features"])

    if options.encoder_cache is None:
        export(outdir)
    elif cached(Path(options.encoder_cache), identity, export, outdir):
        log.info("%s taken from %s", identity["encoder"], options.encoder_cache)


if __name__ == "__main__":
    run(main, uses_torch=True)
