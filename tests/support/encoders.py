"""Encoders as a user would bring them."""

import json
from pathlib import Path

import torch
from torch import nn


def write_own_encoder(network: nn.Module, folder: Path, name: str = "own", /, **declared: object) -> Path:
    """A network of images [n, 3, 64, 64] as ONNX, with its declaration beside it."""
    path = folder / f"{name}.onnx"
    free = {"images": {0: "n"}, "features": {0: "n"}}
    names = {"input_names": ["images"], "output_names": ["features"]}
    torch.onnx.export(network.eval(), (torch.rand(2, 3, 64, 64),), path, dynamo=False, dynamic_axes=free, **names)
    path.with_suffix(".json").write_text(json.dumps({"input_px": 64} | declared))
    return path
