#!/usr/bin/env python3
"""Make an ONNX graph and its declaration of a network of PyTorch: `./efnst encoder export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from efnst.program.arguments import THREADS_OF_A_STEP, Threads
from efnst.program.cli import run

if TYPE_CHECKING:
    from efnst.encoder.conversion.network import Network

TIMM, TORCHSCRIPT = "timm:", "torchscript:"


def main(
    network: Annotated[
        str, typer.Argument(help="A name of `encoder list`, timm:ARCHITECTURE, or torchscript:FILE, whose code is run.")
    ],
    weights: Annotated[
        Path | None, typer.Option(help="File or folder of weights; without: from the hub, with your login.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The graph, .onnx; without: named like the encoder, in this folder.")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Compute in fp16, for a GPU; half the size.")] = False,
    name: Annotated[str | None, typer.Option(help="Name of the encoder in reports.")] = None,
    input_px: Annotated[
        int | None, typer.Option("--input_px", help="Width of the images that it takes.", min=8)
    ] = None,
    um_per_px: Annotated[
        float | None, typer.Option("--um_per_px", help="Scale that it was trained at; decides the window.", min=0.01)
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="Subtracted from colours of 0 to 1: three numbers and commas.")
    ] = None,
    std: Annotated[str | None, typer.Option(help="Divides what is left: three numbers and commas.")] = None,
    pooling: Annotated[
        Literal["class", "mean", "both", "network"] | None,
        typer.Option(help="Class token, mean of the patch tokens, both, or what the network itself gives."),
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the weights, for reports.")] = None,
    commercial: Annotated[
        bool | None, typer.Option("--commercial/--not_commercial", help="Whether it allows commercial use.")
    ] = None,
    untrained: Annotated[bool, typer.Option("--untrained", help="Random weights, to try out size and speed.")] = False,
    threads: Threads = THREADS_OF_A_STEP,
) -> None:
    """Export a network to ONNX with its declaration, and check its features against PyTorch's.

    Both files are what `./efnst run --encoder_onnx` takes.
    """
    from efnst.encoder.conversion.convert import convert, facts_given
    from efnst.program.cli import log

    found = _network(network, weights, untrained, pooling, input_px)
    given = facts_given(name=name, um_per_px=um_per_px, mean=mean, std=std, licence=licence, commercial=commercial)
    found = found.with_facts(given | ({"source": "random weights"} if untrained else {}))
    path = output or Path(found.facts["name"].lower().replace("-", "_").replace(".", "_") + ".onnx")
    declared = convert(found, path, half, threads)
    log.info("%s: %d features, least cosine to PyTorch %.6f", path, declared.n_features, declared.parity.least_cosine)


def _network(name: str, weights: Path | None, untrained: bool, pooling: str | None, input_px: int | None) -> "Network":
    """The network that a user names."""
    from efnst.encoder.conversion.network import of_recipe, of_timm, of_torchscript
    from efnst.encoder.recipes import RECIPES, read_recipes, recipe_named

    if name.startswith(TORCHSCRIPT):
        return of_torchscript(Path(name.removeprefix(TORCHSCRIPT)), pooling, input_px)
    if name.startswith(TIMM):
        return of_timm(name.removeprefix(TIMM), weights, untrained, pooling, input_px)
    return of_recipe(recipe_named(read_recipes(RECIPES), name), weights, untrained, pooling)


if __name__ == "__main__":
    run(main)
