"""Quantisation: the fit against numbers worked out by hand, the windows of a convolution against PyTorch's."""

from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from efnst.encoder.efficientnet import images_to_onnx
from efnst.encoder.quantisation import RIDGE, Convolution, fit, open_model, quantise
from efnst.encoder.sample import sample_patches
from efnst.errors import EfnstError


def test_a_fit_by_hand() -> None:
    """x = ±1 and y = 4 + 2x: covariance 1, shared 2, pull RIDGE, so W = (2 + RIDGE · W0) / (1 + RIDGE) and b = 4."""
    inputs = np.array([-1, 1, -1, 1], np.float32)[:, None, None]
    outputs = 4 + 2 * inputs
    for start in (2.0, 0.0):
        integers, scales, bias = fit(inputs, outputs, np.array([[[start]]]), 0.1)
        assert integers.item() == 63  # the largest weight of a channel takes the whole range
        assert integers.item() * scales.item() == pytest.approx((2 + RIDGE * start) / (1 + RIDGE), rel=1e-6)
        assert bias.item() == pytest.approx(4)


def test_rounding_shifts_no_mean() -> None:
    """Weights 1 and 0.4 are rounded to 63 and 25 of 63; the bias makes up for the mean of what that changes."""
    random = np.random.default_rng(0)
    inputs = random.normal(5, 1, (500, 1, 2)).astype(np.float32)
    weights = np.array([[[1.0, 0.4]]])
    outputs = np.einsum("ngi,goi->ngo", inputs, weights).astype(np.float32)
    integers, scales, bias = fit(inputs, outputs, weights, 0.1)
    assert integers.ravel().tolist() == [63, 25]
    found = np.einsum("ngi,goi->ngo", inputs, integers * scales[:, :, None]) + bias
    assert found.mean() == pytest.approx(outputs.mean(), abs=1e-5)
    assert np.abs(found - outputs).max() < 0.02


def test_groups_are_fitted_apart() -> None:
    random = np.random.default_rng(1)
    inputs = random.normal(0, 1, (200, 3, 4)).astype(np.float32)
    weights = random.normal(0, 1, (3, 2, 4))
    outputs = np.einsum("ngi,goi->ngo", inputs, weights).astype(np.float32)
    integers, scales, _ = fit(inputs, outputs, weights, 0.1)
    assert integers.dtype == np.int8 and np.abs(integers).max() == 63
    assert np.abs(integers * scales[:, :, None] - weights).max() <= scales.max() / 2 + 1e-4


def test_a_channel_without_weights_keeps_its_bias() -> None:
    """The bias is a whole number of scale × input scale in 32 bits."""
    inputs = np.random.default_rng(2).normal(0, 1, (50, 1, 2)).astype(np.float32)
    _, scales, bias = fit(inputs, np.full((50, 1, 1), 7, np.float32), np.zeros((1, 1, 2)), 1e-4)
    assert bias.item() == pytest.approx(7, abs=1e-4) and abs(bias.item() / (scales.item() * 1e-4)) < 2**31


@pytest.mark.parametrize(
    ("n_in", "groups", "kernel", "stride", "padding", "dilation"),
    [(4, 1, 1, 1, 0, 1), (3, 1, 3, 2, 1, 1), (6, 6, 5, 2, 2, 1), (4, 2, 3, 1, 2, 2)],
)
def test_windows_are_what_a_convolution_sees(
    n_in: int, groups: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(n_in, 2 * groups, kernel, stride, padding, dilation, groups, bias=False)
    images = torch.randn(3, n_in, 11, 9)
    weights = layer.weight.detach().numpy()
    ours = Convolution(weights, groups, [stride] * 2, [padding] * 4, [dilation] * 2)
    expected = layer(images).detach().numpy()
    rows, columns = np.divmod(np.arange(expected[0, 0].size)[::3], expected.shape[3])
    seen = ours.windows(images.numpy(), rows, columns)
    found = np.einsum("ngi,goi->ngo", seen, weights.reshape(groups, 2, -1)).reshape(3, len(rows), -1)
    assert np.allclose(found, expected[:, :, rows, columns].transpose(0, 2, 1), atol=1e-5)


def network(path: Path) -> onnx.ModelProto:
    """A small network of the kinds of layers that efficientnet-lite has, with and without biases."""
    torch.manual_seed(0)
    layers = (
        *(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6(), nn.Conv2d(16, 16, 3, padding=1)),
        *(nn.Conv2d(16, 24, 1, bias=False), nn.ReLU6(), nn.Conv2d(24, 24, 3, padding=1, groups=24), nn.ReLU6()),
        *(nn.Conv2d(24, 40, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )
    images_to_onnx(nn.Sequential(*layers).eval(), (3, 32, 32), path)
    return onnx.load(path)


def test_a_network_in_int8(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = random.normal(0, 1, (48, 3, 1, 1)) + random.normal(0, 0.5, (48, 3, 32, 32))
    calibration, held_out = np.split(images.astype(np.float32), 2)
    model = network(tmp_path / "network.onnx")
    quantised = quantise(model, calibration, 1, 0)
    expected, found = (open_model(m, 1).run(None, {"images": held_out})[0] for m in (model, quantised))
    assert np.linalg.norm(found - expected) < 0.02 * np.linalg.norm(expected)
    weights = [numpy_helper.to_array(t) for t in quantised.graph.initializer if t.data_type == onnx.TensorProto.INT8]
    convolutions = [w for w in weights if w.ndim == 4]
    assert len(convolutions) == 5 and all(np.abs(w).max() == 63 for w in convolutions)
    again = quantise(model, calibration, 1, 0)
    assert again.SerializeToString() == quantised.SerializeToString()


def test_what_cannot_be_quantised(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"could not be quantised \(.*\): it needs --precision fp32"):
        quantise(network(tmp_path / "network.onnx"), np.zeros((2, 5, 32, 32), np.float32), 1, 0)


def write_patches(path: Path, n: int, value: int, scales: tuple[int, ...] = (100,)) -> Path:
    with h5py.File(path, "w") as file:
        for um in scales:
            patches = np.full((n, 4, 4, 3), value, np.uint8)
            patches[:, 0, 0, 0] = np.arange(n)
            file.create_dataset(f"patches_{um}", data=patches).attrs["patch_um"] = um
    return path


def test_sections_and_scales_give_the_same_number_of_patches(tmp_path: Path) -> None:
    sections = [write_patches(tmp_path / f"{n}.h5", n, n) for n in (100, 50, 3)]
    drawn = sample_patches([(path, None) for path in sections], 30, 0)
    values = [int(patch[0, 1, 1, 0]) for patch in drawn]
    assert {value: values.count(value) for value in set(values)} == {100: 10, 50: 10, 3: 3}
    assert values != sorted(values) and len({patch.tobytes() for patch in drawn}) == 23
    again = sample_patches([(path, None) for path in sections], 30, 0)
    assert all(np.array_equal(a, b) for a, b in zip(drawn, again, strict=True))
    other = sample_patches([(path, None) for path in sections], 30, 1)
    assert any(not np.array_equal(a, b) for a, b in zip(drawn, other, strict=True))
    both = write_patches(tmp_path / "scales.h5", 9, 7, (100, 200))
    prepared = sample_patches([(both, lambda patch: patch + 1)], 10, 0)
    assert len(prepared) == 10 and all(patch[0, 1, 1, 0] == 8 for patch in prepared)
