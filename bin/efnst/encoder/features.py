"""Image features: running an exported encoder over a section's patches with onnxruntime."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import h5py
import numpy as np
import onnxruntime

from efnst.encoder.cost import cost_in_words
from efnst.encoder.device import ON_GPU, OpenEncoder
from efnst.errors import EfnstError
from efnst.program.cli import log, progress, versions

CPU_BATCH = 8  # where the caches of a CPU serve it best; more changes nothing
LARGEST_BATCH = 256  # a GPU is no faster with more
PROBE_BATCH = 16
USED_SHARE = 0.5  # of the free GPU memory: the next batch size may make the provider ask for more
BUFFERS = 3  # one that is filled, one that runs, one between them
OUT_OF_MEMORY = ("out of memory", "failed to allocate", "cudaerrormemoryallocation", "alloc_failed")

Prepare = Callable[[np.ndarray], np.ndarray]  # uint8 patches [n, height, width, 3] to the same


@dataclass(frozen=True)
class Embedded:
    """Features float32 [n_spots, n_features × n_scales], the batch size used and the seconds the encoder took.

    They are of `n_patches` patches of all widths: where a spot has several of one, the mean of theirs.
    """

    features: np.ndarray
    batch_size: int
    encoder_seconds: float
    n_patches: int


def features_record(opened: OpenEncoder, embedded: Embedded, seconds: float, threads: int) -> dict:
    """What features.json says of the encoder and of its work, which took `seconds` for all patches."""
    n_spots, n_features = embedded.features.shape
    return {
        "device": opened.device,
        "device_reason": opened.reason,
        "provider": opened.provider,
        "precision": opened.precision,
        "operators": opened.operators,
        "operators_on_cpu": opened.on_cpu,
        "threads": threads,
        "batch_size": embedded.batch_size,
        "n_spots": n_spots,
        "n_patches": embedded.n_patches,
        "n_features": n_features,
        "patches_per_second": round(embedded.n_patches / seconds, 2),
        "encoder_share": round(embedded.encoder_seconds / seconds, 4),
        "versions": versions("onnxruntime"),
    }


def patch_datasets(file: h5py.File) -> list[h5py.Dataset]:
    """The datasets of patches, one for each scale, by rising patch size."""
    return sorted((file[name] for name in file if name.startswith("patches_")), key=lambda d: d.attrs["patch_um"])


def covered_um(dataset: h5py.Dataset) -> float:
    """Width of the tissue that all patches of a spot show, in µm."""
    return float(dataset.attrs["patch_um"]) + 2 * float(dataset.attrs.get("ring_um", 0))


def embed(
    encoder: OpenEncoder, patches: h5py.File, batch_size: int | None = None, prepare: Prepare | None = None
) -> Embedded:
    """Features of all spots. Without `batch_size`: 8 on a CPU, on a GPU what its free memory holds, 256 at most.

    A GPU that runs out of memory is tried again with half the batch. `prepare` makes the patches ready for the
    encoder, such as a stain normaliser.
    """
    datasets = patch_datasets(patches)
    size = batch_size or (_gpu_batch_size(encoder, datasets) if encoder.device in ON_GPU else CPU_BATCH)
    while True:
        try:
            features, seconds = _embed_scales(encoder, datasets, size, prepare)
            break
        except onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException as error:
            if size == 1 or not any(sign in str(error).lower() for sign in OUT_OF_MEMORY):
                raise
            size = max(1, size // 2)
            log.info("out of memory: trying batches of %d patches", size)
    if not np.isfinite(features).all():
        raise EfnstError("Expected finite image features, found NaN or infinity. Are the encoder's weights intact?")
    n_each = int(datasets[0].attrs.get("n_each", 1))
    means = features.reshape(-1, n_each, features.shape[1]).mean(1) if n_each > 1 else features
    return Embedded(means, size, seconds, sum(map(len, datasets)))


def _embed_scales(
    encoder: OpenEncoder, datasets: list[h5py.Dataset], batch_size: int, prepare: Prepare | None
) -> tuple[np.ndarray, float]:
    """Features of all datasets side by side, and the seconds the encoder took."""
    run = _gpu_runner(encoder) if encoder.device in ON_GPU else _cpu_runner(encoder)
    scales, seconds, n_patches = [], 0.0, sum(map(len, datasets))
    with progress(n_patches, "patches") as done:
        for dataset in datasets:
            batches = []
            for batch in read_ahead(dataset, batch_size, prepare, pinned=encoder.device in ON_GPU):
                start = time.perf_counter()
                batches.append(run(batch))
                seconds += time.perf_counter() - start
                done(len(batch))
                if len(batches) == 1 and not scales:
                    _tell_cost(encoder, n_patches, seconds / len(batch))
            scales.append(np.concatenate(batches)[: len(dataset)])
    return np.hstack(scales), seconds


def seconds_per_patch(encoder: OpenEncoder, px: int) -> float:
    """How long one patch of `px` takes, measured on a batch after another that warms up."""
    run = _gpu_runner(encoder) if encoder.device in ON_GPU else _cpu_runner(encoder)
    batch = np.zeros((CPU_BATCH, px, px, 3), np.uint8)
    run(batch[:1])
    start = time.perf_counter()
    run(batch)
    return (time.perf_counter() - start) / CPU_BATCH


def _tell_cost(encoder: OpenEncoder, n_patches: int, seconds: float) -> None:
    """Say how long all patches will take when one takes so many `seconds`."""
    log.info("%s", cost_in_words(n_patches, encoder.multiply_adds, n_patches * seconds, encoder.place))


def _cpu_runner(encoder: OpenEncoder) -> Callable[[np.ndarray], np.ndarray]:
    """Features [n, n_features] of a batch of patches."""
    (patches,), (features,) = encoder.session.get_inputs(), encoder.session.get_outputs()
    return lambda batch: encoder.session.run([features.name], {patches.name: batch})[0]


def _gpu_runner(encoder: OpenEncoder) -> Callable[[np.ndarray], np.ndarray]:
    """Features of a batch through IO binding: the batch goes to the GPU once and only the features come back."""
    (patches,), (features,) = encoder.session.get_inputs(), encoder.session.get_outputs()
    binding = encoder.session.io_binding()

    def run(batch: np.ndarray) -> np.ndarray:
        binding.bind_cpu_input(patches.name, batch)
        binding.bind_output(features.name, "cpu")
        encoder.session.run_with_iobinding(binding)
        return binding.copy_outputs_to_cpu()[0]

    return run


def read_ahead(
    dataset: h5py.Dataset, batch_size: int, prepare: Prepare | None = None, pinned: bool = False
) -> Iterator[np.ndarray]:
    """Batches of the dataset's rows; the next one is read, and prepared, while the caller works on this one.

    `pinned`: each batch lies in page-locked memory, from which a GPU copies fastest, is valid until the next but one
    and has `batch_size` rows; what the last lacks repeats older rows, because a new shape makes a GPU plan again.
    """
    read = (_pinned_reader if pinned else _plain_reader)(dataset, batch_size, prepare)
    n_batches = -(-len(dataset) // batch_size)
    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(read, 0)
        for number in range(n_batches):
            batch = upcoming.result()
            if number + 1 < n_batches:
                upcoming = pool.submit(read, number + 1)
            yield batch


def _plain_reader(dataset: h5py.Dataset, batch_size: int, prepare: Prepare | None) -> Callable[[int], np.ndarray]:
    """A function that reads, and prepares, the batch of a number."""

    def read(number: int) -> np.ndarray:
        batch = dataset[number * batch_size : (number + 1) * batch_size]
        return prepare(batch) if prepare else batch

    return read


def _pinned_reader(dataset: h5py.Dataset, batch_size: int, prepare: Prepare | None) -> Callable[[int], np.ndarray]:
    """The same into page-locked memory: `BUFFERS` batches of full size take turns."""
    buffers = [_pinned((batch_size, *dataset.shape[1:])) for _ in range(BUFFERS)]

    def read(number: int) -> np.ndarray:
        rows = slice(number * batch_size, min((number + 1) * batch_size, len(dataset)))
        buffer, filled = buffers[number % BUFFERS], slice(0, rows.stop - rows.start)
        dataset.read_direct(buffer, rows, filled)
        if prepare:
            buffer[filled] = prepare(buffer[filled])
        return buffer

    return read


def _pinned(shape: tuple[int, ...]) -> np.ndarray:
    """A zero uint8 array in page-locked memory."""
    import torch

    return torch.zeros(shape, dtype=torch.uint8).pin_memory().numpy()


def _gpu_batch_size(encoder: OpenEncoder, datasets: list[h5py.Dataset]) -> int:
    """The power of two of patches, `LARGEST_BATCH` at most, that fits into the free memory of the GPU.

    What one patch takes is measured with a batch of `PROBE_BATCH` of the largest patches.
    """
    import torch

    run = _gpu_runner(encoder)
    before = torch.cuda.mem_get_info()[0]
    run(np.zeros((PROBE_BATCH, *datasets[-1].shape[1:]), np.uint8))
    after = torch.cuda.mem_get_info()[0]
    fitting = PROBE_BATCH * USED_SHARE * after / max(before - after, 1)
    return int(min(LARGEST_BATCH, 2 ** max(0, int(np.log2(max(fitting, 1))))))
