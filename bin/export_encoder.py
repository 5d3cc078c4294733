#!/usr/bin/env python3
"""Export an EfficientNet to ONNX: uint8 patches in, pooled features out; resize and normalisation are inside."""

from pathlib import Path
from typing import Annotated

import typer

from efnst.program import run


def main(
    encoder: Annotated[str, typer.Option(help="efficientnet-lite0 (weights installed) or efficientnet-b0 to -b7.")] = (
        "efficientnet-lite0"
    ),
    weights: Annotated[
        Path | None,
        typer.Option(help="Weights of the encoder (a PyTorch state dict); without: installed or downloaded."),
    ] = None,
    encoder_output: Annotated[
        str, typer.Option("--encoder_output", help="pooled features, or logits (class scores, as published).")
    ] = "pooled",
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1)] = 1,
    outdir: Annotated[Path, typer.Option(help="Folder for encoder.onnx and encoder.json.")] = Path("."),
) -> None:
    """Export an EfficientNet to ONNX, with resize and normalisation inside, and check it against PyTorch."""
    from efnst.encoder import export_encoder, load_encoder
    from efnst.program import log, versions, write_json
    from efnst.reproducible import reproducible_torch

    network, input_px, source = load_encoder(encoder, weights, output=encoder_output)
    outdir.mkdir(parents=True, exist_ok=True)
    path = outdir / "encoder.onnx"
    with reproducible_torch(threads, 0):
        difference, n_features = export_encoder(network, path)
    write_json(
        outdir / "encoder.json",
        {
            "encoder": encoder,
            "output": encoder_output,
            "input_px": input_px,
            "n_features": n_features,
            "weights": source,
            "max_relative_difference": difference,
            "versions": versions("torch", "onnx", "onnxruntime"),
        },
    )
    log.info("%s exported: %d features, ONNX equals PyTorch to %.1e", encoder, n_features, difference)


if __name__ == "__main__":
    run(main, uses_torch=True)
