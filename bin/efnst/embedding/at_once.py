"""Several trainings at once, each in a process of its own; the result does not depend on how many."""

import ctypes
import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import torch
from tqdm import tqdm

PR_SET_PDEATHSIG = 1  # of prctl(2)
_SHARED: dict[str, tuple] = {}  # in a worker: what it runs, and the arguments beside a training
Training = TypeVar("Training")
Result = TypeVar("Result")


def run_at_once(
    run: Callable[..., Result], trainings: Sequence[Training], arguments: tuple, device: torch.device, threads: int
) -> list[Result]:
    """`run` of each training and the `arguments` that all share, several at once on the CPU."""
    workers = min(threads, len(trainings)) if device.type == "cpu" else 1
    progress = {"desc": "training", "unit": "network", "total": len(trainings), "disable": None}
    if workers == 1:
        return [run(training, *arguments) for training in tqdm(trainings, **progress)]
    context = multiprocessing.get_context(_start_method())
    try:
        with ProcessPoolExecutor(workers, context, _share, (run, *arguments)) as pool:
            return list(tqdm(pool.map(_run_in_worker, trainings), **progress))
    except BrokenProcessPool as error:
        raise MemoryError("A training was killed, as the system does where memory runs out.") from error


def _start_method() -> str:
    """How workers start: a forked one shares memory with this process, but PyTorch fails there once it saw a GPU."""
    return "spawn" if torch.cuda.is_available() else "fork"


def _share(*arguments: object) -> None:
    """Keep in a worker what runs, and what it is given beside a training; it ends with the program that started it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _SHARED["arguments"] = arguments


def _run_in_worker(training: Training) -> Result:
    """One training with what the worker was started with."""
    run, *arguments = _SHARED["arguments"]
    return run(training, *arguments)
