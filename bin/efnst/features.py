"""Image features: running an exported encoder over a section's patches with onnxruntime."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import onnxruntime

from efnst.errors import EfnstError, check_choice

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def open_encoder(path: Path, device: str, threads: int) -> onnxruntime.InferenceSession:
    """Open an exported encoder on `device` (`auto`, `cpu` or `cuda`) with `threads` CPU threads.

    `auto` takes CUDA where onnxruntime has it. An explicit device that is not there is an error, never a fallback.
    """
    check_choice("device", device, ("auto", *PROVIDERS))
    available = onnxruntime.get_available_providers()
    if device == "auto":
        device = "cuda" if PROVIDERS["cuda"] in available else "cpu"
    provider = PROVIDERS[device]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = None
    if provider in available:
        session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
    if session is None or session.get_providers()[0] != provider:
        raise EfnstError(
            f"Expected device `{device}` to be usable, found onnxruntime with {', '.join(available)} only. "
            "Choose --device cpu, or an environment with onnxruntime-gpu and a GPU."
        )
    return session


def patch_datasets(file: h5py.File) -> list[h5py.Dataset]:
    """The datasets of patches, one for each scale, by rising patch size."""
    return sorted((file[name] for name in file if name.startswith("patches_")), key=lambda d: d.attrs["patch_um"])


def embed(
    session: onnxruntime.InferenceSession,
    patches: h5py.File,
    batch_size: int,
    prepare: Callable[[np.ndarray], np.ndarray] | None = None,
) -> tuple[np.ndarray, float]:
    """Features float32 [n_spots, n_features × n_scales] of all patches, and the seconds the encoder took.

    `prepare` makes the patches ready for the encoder, such as a normaliser of `stain.py`.
    """
    scales = []
    seconds = 0.0
    for dataset in patch_datasets(patches):
        batches = []
        for batch in read_ahead(dataset, batch_size, prepare):
            start = time.perf_counter()
            batches.append(session.run(["features"], {"patches": batch})[0])
            seconds += time.perf_counter() - start
        scales.append(np.concatenate(batches))
    features = np.hstack(scales)
    if not np.isfinite(features).all():
        raise EfnstError("Expected finite image features, found NaN or infinity. Are the encoder's weights intact?")
    return features, seconds


def read_ahead(
    dataset: h5py.Dataset, batch_size: int, prepare: Callable[[np.ndarray], np.ndarray] | None = None
) -> Iterator[np.ndarray]:
    """Batches of the dataset's rows; the next one is read, and prepared, while the caller works on this one."""

    def read(start: int) -> np.ndarray:
        batch = dataset[start : start + batch_size]
        return prepare(batch) if prepare else batch

    starts = range(0, len(dataset), batch_size)
    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(read, 0)
        for start in starts:
            batch = upcoming.result()
            following = start + batch_size
            if following < len(dataset):
                upcoming = pool.submit(read, following)
            yield batch
