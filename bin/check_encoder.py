#!/usr/bin/env python3
"""Check an encoder of one's own as a run would, and tell what it takes and costs: `./efnst encoder check`."""

from pathlib import Path
from typing import Annotated

import typer

from efnst.program.arguments import THREADS_OF_A_STEP, Threads
from efnst.program.cli import run


def main(
    encoder: Annotated[Path, typer.Argument(help="The encoder, ONNX, with its declaration beside it.")],
    n_spots: Annotated[int, typer.Option("--n_spots", help="Spots that the cost is told for.", min=1)] = 5000,
    threads: Threads = THREADS_OF_A_STEP,
) -> None:
    """Put resize and normalisation before an encoder, run it on some patches, and tell what it takes and costs."""
    import tempfile

    from efnst.encoder.cache import sha256
    from efnst.encoder.cost import cost_in_words
    from efnst.encoder.declaration import described, read_declaration
    from efnst.encoder.device import open_encoder
    from efnst.encoder.external import refuse_exchanged
    from efnst.encoder.features import seconds_per_patch
    from efnst.encoder.own import export_in_time, own_files

    declared = read_declaration(encoder.with_suffix(".json"), encoder)
    refuse_exchanged(encoder.name, declared, {file.name: sha256(file) for file in own_files(encoder, declared)})
    with tempfile.TemporaryDirectory(prefix="efnst-") as folder:
        path = Path(folder, "encoder.onnx")
        n_features = export_in_time(encoder, declared, path, threads)
        opened = open_encoder(path, "auto", threads)
        seconds = n_spots * seconds_per_patch(opened, declared.input_px)
        lines = described(declared) | {
            "features": str(n_features),
            "cost": cost_in_words(n_spots, opened.multiply_adds, seconds, opened.place),
        }
    width = max(map(len, lines))
    typer.echo("\n".join(f"{what:<{width}}  {text}" for what, text in lines.items()))


if __name__ == "__main__":
    run(main)
