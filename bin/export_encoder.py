#!/usr/bin/env python3
"""Export an encoder to ONNX: uint8 patches in, features out; resize and normalisation are inside."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from efnst.encoder.options import EncoderOptions, WindowOptions
from efnst.errors import EfnstError
from efnst.program.arguments import THREADS_OF_A_STEP, Outdir, Threads
from efnst.program.cli import run

if TYPE_CHECKING:
    from efnst.records.encoder import EncoderDeclaration

MANY_PATCHES = 5000  # of a large section, for which the cost is told
Write = Callable[[Path], dict]  # writes a graph to a file and returns the figures of its record


def main(
    weights: Annotated[
        Path | None,
        typer.Option(help="Weights of the encoder (a PyTorch state dict); without: installed or downloaded."),
    ] = None,
    encoder_onnx: Annotated[
        Path | None,
        typer.Option("--encoder_onnx", help="An encoder of your own, ONNX, instead of --encoder."),
    ] = None,
    declaration: Annotated[
        Path | None, typer.Option(help="JSON that declares it; without: the file beside it that ends in .json.")
    ] = None,
    threads: Threads = 1,
    outdir: Outdir = Path(),
    options: EncoderOptions = EncoderOptions(),
    window: WindowOptions = WindowOptions(),
) -> None:
    """Export an encoder to ONNX, with resize and normalisation inside, and check it against PyTorch.

    With precision int8 it is exported in fp32, which quantise_encoder.py starts from.
    """
    from efnst.encoder.cache import cached
    from efnst.encoder.declaration import read_declaration
    from efnst.program.cli import log, versions

    identity = {"precision": "fp16" if options.precision == "fp16" else "fp32"}
    identity["versions"] = versions("torch", "onnx", "onnxruntime")
    if encoder_onnx is None:
        known, write = _known_encoder(options, weights)
    else:
        if weights is not None or options.encoder_output != "pooled":
            raise EfnstError("Expected --encoder_onnx alone, found it with --weights or --encoder_output logits.")
        declared = read_declaration(declaration or encoder_onnx.with_suffix(".json"), encoder_onnx)
        known, write = _own_encoder(encoder_onnx, declared, options.precision, window, threads)
    identity |= known

    def export(folder: Path) -> None:
        _export(folder, identity, write, threads)

    if options.encoder_cache is None:
        export(outdir)
    elif cached(Path(options.encoder_cache), identity, export, outdir):
        log.info("%s taken from %s", identity["encoder"], options.encoder_cache)
    if encoder_onnx:
        _tell_cost(encoder_onnx, declared, outdir)


def _own_encoder(
    encoder_onnx: Path, declared: "EncoderDeclaration", precision: str, window: WindowOptions, threads: int
) -> tuple[dict, Write]:
    """What tells an encoder of the user's own from others, and what writes its graph and returns its figures."""
    from efnst.encoder.cache import sha256
    from efnst.encoder.declaration import refuse_precision, refuse_windows
    from efnst.encoder.external import refuse_exchanged
    from efnst.encoder.own import export_in_time, own_files
    from efnst.image.patches import patch_sizes

    files = own_files(encoder_onnx, declared)
    refuse_precision(declared, precision, is_one_file=len(files) == 1)
    refuse_windows(declared, patch_sizes(window.patch_um) if window.patch_um else [])
    digests = {file.name: sha256(file) for file in files}
    refuse_exchanged(encoder_onnx.name, declared, digests)
    source = {"file": encoder_onnx.name, "sha256": digests.pop(encoder_onnx.name)}
    known = {"encoder": declared.name, "declaration": declared.plain()}
    known["weights"] = source | ({"data_sha256": digests.popitem()[1]} if digests else {})

    def write(path: Path) -> dict:
        n_features = export_in_time(encoder_onnx, declared, path, threads)
        return {"input_px": declared.input_px, "n_features": n_features}

    if declared.precision == "fp16":
        return known | {"precision": "fp16"}, write
    return known, _halved(write) if precision == "fp16" else write


def _tell_cost(encoder_onnx: Path, declared: "EncoderDeclaration", outdir: Path) -> None:
    """cost.txt: what an encoder of the user's own takes for a large section on this machine."""
    from efnst.encoder.cost import cost_of_run
    from efnst.program.terminal import printable

    cost = cost_of_run(encoder_onnx, declared, MANY_PATCHES, THREADS_OF_A_STEP)
    (outdir / "cost.txt").write_text(printable(f"{declared.name}: {cost}") + "\n")


def _known_encoder(options: EncoderOptions, weights: Path | None) -> tuple[dict, Write]:
    """The same for an EfficientNet."""
    from efnst.encoder.efficientnet import COARSE_PX, export_encoder, find_weights, load_encoder

    found, source = find_weights(options.encoder, weights)

    def write(path: Path) -> dict:
        network, input_px, _ = load_encoder(options.encoder, found, output=options.encoder_output)
        difference, n_features = export_encoder(network, path)
        return {"input_px": input_px, "n_features": n_features, "max_relative_difference": difference}

    known = {"encoder": options.encoder, "output": options.encoder_output, "weights": source, "coarse_px": COARSE_PX}
    return known, _halved(write) if options.precision == "fp16" else write


def _halved(write: Write) -> Write:
    """What writes the graph of `write` in fp16."""
    from efnst.encoder.efficientnet import probe_patches
    from efnst.encoder.precision import to_fp16

    def both(path: Path) -> dict:
        return write(path) | {"least_cosine": to_fp16(path, probe_patches(grain_px=5))}

    return both


def _export(folder: Path, identity: dict, write: Write, threads: int) -> None:
    """Write encoder.onnx and encoder.json into `folder`."""
    from efnst.embedding.reproducible import reproducible_torch
    from efnst.program.cli import log
    from efnst.records.base import write_record
    from efnst.records.encoder import EncoderRecord

    path = folder / "encoder.onnx"
    with reproducible_torch(threads, 0):
        folder.mkdir(parents=True, exist_ok=True)
        figures = write(path)
    write_record(folder / "encoder.json", EncoderRecord(**identity, **figures))
    log.info("%s exported in %s: %d features", identity["encoder"], identity["precision"], figures["n_features"])


if __name__ == "__main__":
    run(main)
