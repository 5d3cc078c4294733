"""From a network of PyTorch to an ONNX graph of images with its declaration, checked against PyTorch."""

import math
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from efnst.encoder.cache import sha256
from efnst.encoder.conversion.network import Network
from efnst.encoder.cost import multiply_adds
from efnst.encoder.declaration import TOLERATED
from efnst.encoder.efficientnet import PatchPreparation, images_to_onnx
from efnst.encoder.external import data_name, gather, put_aside
from efnst.encoder.precision import cosines
from efnst.encoder.quantisation import open_file
from efnst.errors import EfnstError
from efnst.program.cli import versions
from efnst.program.numbers import beyond
from efnst.records.base import write_record
from efnst.records.encoder import EncoderDeclaration, Parity

LEAST_COSINE = 0.999  # between the features of the graph and of PyTorch
N_PROBES = 32
BATCH = 4
PROBE_PX = 256
LARGEST_GRAIN_PX = 64


class Half(nn.Module):
    """A network that computes in fp16 between images and features in fp32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.half()

    def forward(self, images: Tensor) -> Tensor:
        """Features of `images`."""
        return self.network(images.half()).float()


def convert(network: Network, path: Path, half: bool, threads: int) -> EncoderDeclaration:
    """Write `network` to `path` and its declaration beside it; return that.

    Raises an `EfnstError`, and writes nothing, where a file would be overwritten or the graph's features do not agree
    with PyTorch's: the least cosine over `N_PROBES` patches is below `LEAST_COSINE`.
    """
    declaration = path.with_suffix(".json")
    taken = [str(file) for file in (path, declaration, path.with_name(data_name(path.name))) if file.exists()]
    if taken:
        raise EfnstError(f"Expected a new --output, found {', '.join(taken)}: move it away, or give another name.")
    torch.set_num_threads(threads)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".efnst-", dir=path.parent) as folder:
        made = Path(folder, path.name)
        declared = _convert(network, made, half, threads)
        write_record(made.with_suffix(".json"), declared)
        for file in sorted(Path(folder).iterdir()):
            shutil.move(file, path.parent / file.name)
    return declared


def _convert(network: Network, path: Path, half: bool, threads: int) -> EncoderDeclaration:
    """Write the graph alone to `path`; return its declaration."""
    facts = network.facts
    checked(facts)  # before the work
    px = facts["input_px"]
    images = probes(px, facts["mean"], facts["std"])
    expected = torch_features(network.module, images)
    if expected.ndim != 2 or not np.isfinite(expected).all():
        raise EfnstError(
            f"Expected finite features [n, n_features] of the network, found shape {list(expected.shape)}. A network "
            "that gives tokens needs --pooling class, mean or both."
        )
    _write(Half(network.module) if half else network.module, (3, px, px), path)
    parity = measured_parity(path, images, expected, threads)
    return checked(facts | scale_range(facts) | _figures(path, half, expected, parity))


def checked(facts: dict) -> EncoderDeclaration:
    """The declaration with these facts; an `EfnstError` for what a user gave that none may say."""
    try:
        return EncoderDeclaration.model_validate({"layout": "NCHW"} | facts)
    except ValidationError as error:
        found = "; ".join(f"--{'/'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise EfnstError(f"Expected what an encoder can declare, found {found}.") from error


def facts_given(mean: str | None, std: str | None, **others: object) -> dict:
    """Facts that a user gives, as a declaration has them; those not given are None."""
    colours = {name: _three(name, text) for name, text in {"mean": mean, "std": std}.items() if text is not None}
    return others | colours


def _three(name: str, text: str) -> list[float]:
    """Three numbers from a text with commas."""
    try:
        red, green, blue = map(float, text.split(","))
    except ValueError as error:
        raise EfnstError(f"Expected --{name} to be three numbers separated by commas, found `{text}`.") from error
    return [red, green, blue]


def scale_range(facts: dict) -> dict:
    """The range of scales that a declaration says beside its scale, where it has one."""
    scale = facts.get("um_per_px")
    return {"um_per_px_range": [scale * factor for factor in TOLERATED]} if scale else {}


def _figures(path: Path, half: bool, expected: np.ndarray, parity: Parity) -> dict:
    """What the declaration says of the graph itself."""
    model = onnx.load(path, load_external_data=False)
    put_aside(model)
    data = path.with_name(data_name(path.name))
    figures = {"n_features": expected.shape[1], "precision": "fp16" if half else "fp32", "parity": parity}
    figures |= {"multiply_adds": multiply_adds(model), "sha256": sha256(path)}
    figures |= {"external": {data.name: sha256(data)}} if data.exists() else {}
    return {key: value for key, value in figures.items() if value is not None}


def probes(px: int, mean: list[float], std: list[float]) -> Tensor:
    """`N_PROBES` images, as a network takes them, float32 [n, 3, px, px]: random colours in squares, fine to coarse."""
    random = np.random.default_rng(0)
    prepare = PatchPreparation(px, mean, std)
    images = []
    for number in range(N_PROBES):
        grain = max(1, round(LARGEST_GRAIN_PX ** (number / (N_PROBES - 1))))
        side = math.ceil(PROBE_PX / grain)
        squares = random.integers(0, 256, (1, side, side, 3), dtype=np.uint8).repeat(grain, 1).repeat(grain, 2)
        images.append(prepare(torch.from_numpy(squares)))
    return torch.cat(images)


def torch_features(module: nn.Module, images: Tensor) -> np.ndarray:
    """Features of `images` by PyTorch."""
    with torch.inference_mode():
        return torch.cat([module(images[first : first + BATCH]) for first in range(0, len(images), BATCH)]).numpy()


def _write(module: nn.Module, image_shape: tuple[int, int, int], path: Path) -> None:
    """Export `module`; weights beyond 2 GB, which PyTorch writes as a file each, go into one file beside the graph."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        parts = Path(folder, path.name)
        try:
            images_to_onnx(_traced(module, image_shape), image_shape, parts)
        except Exception as error:  # PyTorch raises many types for what it cannot export
            raise EfnstError(
                f"Expected a network that PyTorch can export to ONNX, found: {' '.join(str(error).split())[:300]}."
            ) from error
        gather(parts, path)


def _traced(module: nn.Module, image_shape: tuple[int, int, int]) -> nn.Module:
    """What PyTorch exports of `module`: where it holds TorchScript, that has to be all of it."""
    is_scripted = any(isinstance(each, torch.jit.ScriptModule) for each in module.modules())
    return torch.jit.trace(module, torch.rand(2, *image_shape)) if is_scripted else module


def measured_parity(path: Path, images: Tensor, expected: np.ndarray, threads: int) -> Parity:
    """Cosines between the features of the graph in `path` and those `expected`."""
    session = open_file(path, threads)
    batches = [images[first : first + BATCH].numpy() for first in range(0, len(images), BATCH)]
    found = np.concatenate([session.run(None, {"images": batch})[0] for batch in batches])
    least = float(cosines(found.astype(float), expected.astype(float)).min())
    if not least >= LEAST_COSINE:
        raise EfnstError(
            f"Expected features with a cosine of at least {LEAST_COSINE} to PyTorch's, found "
            f"{beyond(least, LEAST_COSINE)} on {len(images)} patches. In fp16, leave out --half; otherwise "
            "this network cannot be exported."
        )
    return Parity(least_cosine=least, n_patches=len(images), versions=versions("torch", "onnxruntime"))
