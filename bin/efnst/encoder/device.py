"""Opening an exported encoder with onnxruntime on the requested device, and recording what runs where."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from efnst.encoder.cost import CPU_PROVIDER, GPU_PROVIDER, cpu_threads
from efnst.errors import EfnstError
from efnst.names import MULTIPLY_ADDS, PRECISION
from efnst.program.scratch import new_folder

CPU, CUDA = "cpu", "cuda"
PROVIDERS = {
    CPU: CPU_PROVIDER,
    CUDA: GPU_PROVIDER,
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
ON_GPU = (CUDA, "tensorrt")
PROFILED_PX = 50


@dataclass(frozen=True)
class OpenEncoder:
    """An encoder ready to run.

    `reason` says why this device; `operators` counts the graph's operators by the provider that ran them, and
    `on_cpu` names the kinds of operator that another device than the CPU left to the CPU.
    """

    session: onnxruntime.InferenceSession
    device: str
    reason: str
    precision: str
    operators: dict[str, int]
    on_cpu: dict[str, int]

    @property
    def provider(self) -> str:
        return PROVIDERS[self.device]

    @property
    def place(self) -> str:
        """Where it runs, in words."""
        threads = self.session.get_session_options().intra_op_num_threads
        return cpu_threads(threads) if self.device == CPU else self.device

    @property
    def multiply_adds(self) -> int | None:
        """Multiply-adds for a patch; None where they are not known."""
        known = self.session.get_modelmeta().custom_metadata_map.get(MULTIPLY_ADDS)
        return int(known) if known else None


def open_encoder(path: Path, device: str, threads: int) -> OpenEncoder:
    """Open an exported encoder on `device` (`auto` or one of `PROVIDERS`) with `threads` CPU threads.

    `auto` takes CUDA where onnxruntime can use it, else the CPU, which int8 needs. An explicit device that cannot be
    used is an `EfnstError`, never a fallback; so is an fp16 encoder without a GPU, which a CPU would only run slower
    than fp32, and an int8 encoder elsewhere than on a CPU.
    """
    session, chosen, reason = _open_best(path, threads) if device == "auto" else (None, device, "as asked for")
    session = session or _session(path, chosen, threads)
    precision = session.get_modelmeta().custom_metadata_map.get(PRECISION, "fp32")
    if precision == "fp16" and chosen not in ON_GPU:
        raise EfnstError(
            f"Expected a GPU for an encoder in fp16, found device {chosen} ({reason}). Choose --precision fp32 (or "
            "int8), or run where onnxruntime has a GPU."
        )
    if precision == "int8" and chosen != CPU:
        raise EfnstError(
            f"Expected device cpu for an encoder in int8, found {chosen}. Choose --precision fp16 or fp32."
        )
    operators, on_cpu = _placement(session, PROVIDERS[chosen])
    return OpenEncoder(session, chosen, reason, precision, operators, on_cpu)


def _open_best(path: Path, threads: int) -> tuple[onnxruntime.InferenceSession | None, str, str]:
    """A session on a GPU where there is one, the device that `auto` takes and why."""
    if PROVIDERS[CUDA] not in onnxruntime.get_available_providers():
        return None, CPU, f"onnxruntime {onnxruntime.__version__} here has no CUDA"
    facts = onnx.load(path, load_external_data=False).metadata_props
    if {entry.key: entry.value for entry in facts}.get(PRECISION) == "int8":
        return None, CPU, "int8 runs on a CPU only"
    try:
        return _session(path, CUDA, threads), CUDA, "onnxruntime can use a GPU"
    except EfnstError as error:
        return None, CPU, str(error)


def _session(path: Path, device: str, threads: int) -> onnxruntime.InferenceSession:
    """A session on `device` whose first run is profiled; an `EfnstError` where onnxruntime cannot use the device."""
    provider, available = PROVIDERS[device], onnxruntime.get_available_providers()
    if provider not in available:
        raise _unusable(device, f"onnxruntime {onnxruntime.__version__} with {', '.join(available)} only")
    if device in ON_GPU:
        _load_cuda_libraries()
    options = _profiled(device, threads)
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=_with_options(device, threads), enable_fallback=False
        )
    except Exception as error:  # each provider raises types of its own
        text = " ".join(str(error).split())
        problem = text[max(text.find("CUDA failure"), 0) :][:300]  # before it stands the C++ it happened in
        if device == CPU:
            raise EfnstError(f"Expected `{path.name}` to be an ONNX graph that runs, found: {problem}") from error
        raise _unusable(device, problem) from error
    if session.get_providers()[0] != provider:
        raise _unusable(device, "no such hardware, or a library of it is missing")
    return session


def _profiled(device: str, threads: int) -> onnxruntime.SessionOptions:
    """Options of a session that writes a profile to a folder of its own."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4 if device in ON_GPU else 3
    options.enable_profiling = True
    options.profile_file_prefix = str(new_folder() / "profile")
    return options


def _unusable(device: str, found: str) -> EfnstError:
    """The error for a `device` that cannot be used."""
    return EfnstError(
        f"Expected device `{device}` to be usable, found {found}. Choose --device cpu, or an environment with the "
        "hardware and the onnxruntime package of that device."
    )


def _with_options(device: str, threads: int) -> list[tuple[str, dict]]:
    """The provider of `device` and those for operators that it lacks, with options that keep fp32 exact."""
    # TensorFloat-32 would round the inputs of each convolution to 10 bits; batches of one size need no wide search
    cuda = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"}
    options = {
        CUDA: cuda,
        "openvino": {"device_type": "CPU", "precision": "ACCURACY", "num_of_threads": str(threads)},
    }
    chain = ["tensorrt", CUDA, CPU] if device == "tensorrt" else list(dict.fromkeys((device, CPU)))
    return [(PROVIDERS[name], options.get(name, {})) for name in chain]


def _load_cuda_libraries() -> None:
    """Make the CUDA libraries of Python packages, such as those beside PyTorch, known to onnxruntime."""
    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()


def _placement(session: onnxruntime.InferenceSession, provider: str) -> tuple[dict[str, int], dict[str, int]]:
    """Run one patch under the profiler, then end it: operators by provider, and those left to the CPU by kind."""
    name = session.get_inputs()[0].name
    session.run(None, {name: np.zeros((1, PROFILED_PX, PROFILED_PX, 3), np.uint8)})
    events = json.loads(Path(session.end_profiling()).read_text())
    ran = [event["args"] for event in events if event.get("cat") == "Node" and "provider" in event.get("args", {})]
    operators = Counter(args["provider"] for args in ran)
    cpu = PROVIDERS[CPU]
    on_cpu = Counter(args["op_name"] for args in ran if args["provider"] == cpu) if provider != cpu else Counter()
    return dict(operators), dict(on_cpu)
