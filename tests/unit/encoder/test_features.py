"""Running an encoder over the patches of a section, with graphs so small that their features are known by hand."""

import threading
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from efnst.encoder.device import OpenEncoder, open_encoder
from efnst.encoder.features import embed, patch_datasets, read_ahead
from efnst.errors import EfnstError
from efnst.program.arrays import read_arrays, write_arrays
from efnst.records.arrays import FEATURES_NPZ


def write_graph(path: Path, *after_the_mean: onnx.NodeProto) -> Path:
    """An encoder whose features are the mean colour of a patch, with further nodes from `mean` to `features`."""
    nodes = [
        helper.make_node("Cast", ["patches"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2], keepdims=0),
        *(after_the_mean or [helper.make_node("Identity", ["mean"], ["features"])]),
    ]
    graph = helper.make_graph(
        nodes,
        "mean colour",
        [helper.make_tensor_value_info("patches", TensorProto.UINT8, ["batch", "height", "width", 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@pytest.fixture
def encoder(tmp_path: Path) -> OpenEncoder:
    return open_encoder(write_graph(tmp_path / "encoder.onnx"), "cpu", 1)


@pytest.fixture
def write_patches_file(tmp_path: Path) -> Callable[[int], h5py.File]:
    """A file of `n` patches in two scales; the wider one is written first and has the smaller name."""

    def write(n: int) -> h5py.File:
        random = np.random.default_rng(0)
        with h5py.File(tmp_path / "patches.h5", "w") as file:
            file["barcodes"] = [f"B{number}" for number in range(n)]
            for name, patch_um, px in (("patches_1000", 1000.0, 9), ("patches_190", 190.0, 5)):
                file[name] = random.integers(0, 256, (n, px, px, 3), dtype=np.uint8)
                file[name].attrs["patch_um"] = patch_um
        return h5py.File(tmp_path / "patches.h5")

    return write


@pytest.mark.parametrize("n_spots", [1, 23])
@pytest.mark.parametrize("batch_size", [1, 4, 22, 23, 64])
def test_features_keep_their_order_in_batches_of_any_size(
    encoder: OpenEncoder, write_patches_file: Callable, n_spots: int, batch_size: int
) -> None:
    with write_patches_file(n_spots) as file:
        embedded = embed(encoder, file, batch_size)
        expected = np.hstack([file[name][:].mean((1, 2)) for name in ("patches_190", "patches_1000")])
    assert embedded.features.dtype == np.float32 and embedded.features.shape == (n_spots, 6)
    assert np.allclose(embedded.features, expected, atol=1e-3)
    assert embedded.encoder_seconds > 0 and embedded.batch_size == batch_size
    assert embedded.n_patches == 2 * n_spots, "of both widths"


def test_scales_come_by_rising_size(write_patches_file: Callable) -> None:
    with write_patches_file(2) as file:
        assert [dataset.attrs["patch_um"] for dataset in patch_datasets(file)] == [190, 1000]


@pytest.mark.parametrize("batch_size", [1, 3, 10, 11])
def test_read_ahead_gives_every_row_once(write_patches_file: Callable, batch_size: int) -> None:
    with write_patches_file(10) as file:
        batches = list(read_ahead(file["patches_190"], batch_size))
        assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
        assert np.array_equal(np.concatenate(batches), file["patches_190"][:])


def test_patches_are_prepared_before_the_encoder_sees_them(encoder: OpenEncoder, write_patches_file: Callable) -> None:
    with write_patches_file(10) as file:
        features = embed(encoder, file, 4, lambda batch: 255 - batch).features
        plain = np.hstack([file[name][:].mean((1, 2)) for name in ("patches_190", "patches_1000")])
    assert np.allclose(features, 255 - plain, atol=1e-3)


def test_batches_are_prepared_in_the_thread_that_reads(write_patches_file: Callable) -> None:
    threads = set()

    def prepare(batch: np.ndarray) -> np.ndarray:
        threads.add(threading.current_thread())
        return batch

    with write_patches_file(10) as file:
        assert len(list(read_ahead(file["patches_190"], 3, prepare))) == 4
    assert len(threads) == 1 and threading.current_thread() not in threads


def test_features_that_are_no_numbers_are_refused(write_patches_file: Callable, tmp_path: Path) -> None:
    log = helper.make_node("Log", ["negative"], ["features"])
    graph = write_graph(tmp_path / "nan.onnx", helper.make_node("Neg", ["mean"], ["negative"]), log)
    with write_patches_file(3) as file, pytest.raises(EfnstError, match="finite image features, found NaN"):
        embed(open_encoder(graph, "cpu", 1), file, 2)


def test_infinite_features_are_refused(write_patches_file: Callable, tmp_path: Path) -> None:
    thousandfold = [helper.make_node("Exp", ["mean"], ["large"]), helper.make_node("Exp", ["large"], ["features"])]
    graph = write_graph(tmp_path / "inf.onnx", *thousandfold)
    with write_patches_file(3) as file, pytest.raises(EfnstError, match="found NaN or infinity"):
        embed(open_encoder(graph, "cpu", 1), file, 2)


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    barcodes, values = np.array(["b", "a"], object), np.array([[1.5, 2], [3, 4]], np.float32)
    write_arrays(tmp_path / "a.npz", FEATURES_NPZ, barcodes, features=values, patch_um=np.array([190.0]))
    arrays = read_arrays(tmp_path / "a.npz", FEATURES_NPZ, barcodes)
    assert list(arrays) == ["features", "patch_um"] and arrays["features"].dtype == np.float32
    assert np.array_equal(arrays["features"], values)


@pytest.mark.parametrize("found", [["a", "b"], ["b", "a", "c"], ["b"], ["b", "x"]])
def test_arrays_of_other_spots_are_refused(found: list[str], tmp_path: Path) -> None:
    arrays = {"features": np.zeros((len(found), 1), np.float32), "patch_um": np.array([190.0])}
    write_arrays(tmp_path / "f.npz", FEATURES_NPZ, np.array(found), **arrays)
    with pytest.raises(EfnstError, match=rf"Expected `f\.npz` to hold the 2 spots .* found {len(found)} spots that"):
        read_arrays(tmp_path / "f.npz", FEATURES_NPZ, np.array(["b", "a"]))
