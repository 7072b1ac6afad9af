"""One loaded model, on the CPU or on a CUDA device. The only import of ONNX Runtime."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy.typing as npt
import onnxruntime

from config.choices import Device
from runtime.device_memory import used_bytes
from runtime.signature import Signature, TensorSpec

Array: TypeAlias = npt.NDArray[Any]

_DATATYPES: Final = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
"""ONNX Runtime's type to Open Inference V2's."""

_CUDA: Final = "CUDAExecutionProvider"
_CPU: Final = "CPUExecutionProvider"
_FATAL_SEVERITY: Final = 4  # what is wrong comes as an exception as well


class ModelError(Exception):
    """A model cannot be loaded, or failed on its inputs; the text says why, in one line."""


class Stop:
    """Ends a run before its time, from any thread: the run raises ModelError at its next operator."""

    __slots__ = ("given", "options")

    def __init__(self) -> None:
        self.given = False
        self.options = onnxruntime.RunOptions()

    def now(self) -> None:
        """End the run."""
        self.given = True
        self.options.terminate = True


class Session:
    """A model in memory. `run` may be called from several threads at once."""

    def __init__(self, file: Path, *, device: Device = Device.CPU, threads: int = 1, outputs: Sequence[str] = ()) -> None:
        """Load `file`. `threads` compute within one operator; `outputs` are those to compute, by default all.

        Raises ModelError.
        """
        require_one_package()
        try:
            self._session = onnxruntime.InferenceSession(str(file), _options(threads), providers=_providers(device))
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no base of their own
            raise ModelError(f"{file} cannot be loaded: {_one_line(error)}") from None
        self.device = Device.CUDA if _CUDA in self._session.get_providers() else Device.CPU
        if device is Device.CUDA and self.device is not Device.CUDA:
            raise ModelError(f"{file} cannot be loaded on CUDA: {_missing_cuda()}")
        self.signature = _signature(file, self._session, outputs)
        self._inputs = [spec.name for spec in self.signature.inputs]
        self._outputs = [spec.name for spec in self.signature.outputs]
        self._run = self._run_bound if self._is_bound(self.device) else self._run_passed

    def run(self, inputs: Sequence[Array], stop: Stop | None = None) -> list[Array]:
        """Return the outputs for inputs in the signature's order. Raises ModelError where the model fails or is stopped."""
        try:
            return self._run(inputs, None if stop is None else stop.options)
        except Exception as error:  # noqa: BLE001 - likewise
            raise ModelError(_one_line(error)) from None

    def _is_bound(self, device: Device) -> bool:
        """Whether arrays are bound before a run on the device. Texts cannot be."""
        return device is Device.CUDA and not any(spec.datatype == "BYTES" for spec in (*self.signature.inputs, *self.signature.outputs))

    def _run_passed(self, inputs: Sequence[Array], options: Any) -> list[Array]:
        # On the CPU arrays are passed without a copy, so that binding them first would only cost more.
        outputs: list[Array] = self._session.run(self._outputs, dict(zip(self._inputs, inputs, strict=True)), options)
        return outputs

    def _run_bound(self, inputs: Sequence[Array], options: Any) -> list[Array]:
        """Leave what one operator makes for the next on the device, the outputs too until all are made."""
        binding = self._session.io_binding()
        for name, array in zip(self._inputs, inputs, strict=True):
            binding.bind_cpu_input(name, array)
        for name in self._outputs:
            binding.bind_output(name, self.device.value)
        self._session.run_with_iobinding(binding, options)
        outputs: list[Array] = binding.copy_outputs_to_cpu()
        return outputs


def require_one_package() -> None:
    """Raise ModelError where both of ONNX Runtime's packages are installed: each overwrites the other's files, and which one runs is chance."""
    if _installed("onnxruntime") and _installed("onnxruntime-gpu"):
        raise ModelError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other's files; remove both with "
            "`pip uninstall onnxruntime onnxruntime-gpu`, then install one: `pip install 'driftline[runtime]'` for the CPU, `pip install 'driftline[gpu]'` for CUDA"
        )


def device_bytes(device: Device) -> int | None:
    """Return how much memory of the CUDA device is taken, by whatever process; None where models are computed on the CPU, or where nothing tells."""
    if device is Device.CPU or _CUDA not in onnxruntime.get_available_providers():
        return None
    _load_cuda()
    return used_bytes(onnxruntime.cuda_version)


def threads_for(instances: int) -> int:
    """Return how many threads each of so many sessions computes with, so that together they have the cores of this process."""
    return max(1, len(os.sched_getaffinity(0)) // max(1, instances))


def _installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _options(threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_SEVERITY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # else idle threads take whole cores for a while after each run
    return options


def _providers(device: Device) -> list[str]:
    available = onnxruntime.get_available_providers()
    if device is Device.CUDA and _CUDA not in available:
        raise ModelError(_missing_cuda())
    if device is Device.CPU or _CUDA not in available:
        return [_CPU]
    _load_cuda()
    return [_CUDA, _CPU]


@cache
def _load_cuda() -> None:
    """Load CUDA's libraries, which pip puts where the linker does not look.

    What is missing it prints; a session that cannot do without says so itself, and standard output is for our own words.
    """
    with redirect_stdout(sys.stderr):
        onnxruntime.preload_dlls()


def _missing_cuda() -> str:
    return (
        "ONNX Runtime finds no CUDA device here, or lacks its libraries; `pip install 'driftline[gpu]'` in place of `driftline[runtime]`, or use the device cpu"
    )


def _signature(file: Path, session: Any, outputs: Sequence[str]) -> Signature:
    given = tuple(_spec(file, tensor) for tensor in session.get_outputs() if not outputs or tensor.name in outputs)
    by_name = {spec.name: spec for spec in given}
    absent = [name for name in outputs if name not in by_name]
    if absent:
        raise ModelError(f"{file} has no output {', '.join(absent)}; it has {', '.join(tensor.name for tensor in session.get_outputs())}")
    return Signature(tuple(_spec(file, tensor) for tensor in session.get_inputs()), tuple(by_name[name] for name in outputs) or given)


def _spec(file: Path, tensor: Any) -> TensorSpec:
    datatype = _DATATYPES.get(tensor.type)
    if datatype is None:
        hint = "; convert it with options={'zipmap': False}" if tensor.type.startswith("seq(map(") else ""
        raise ModelError(f"{file}: {tensor.name} is a {tensor.type}, which cannot be served{hint}")
    return TensorSpec(tensor.name, datatype, tuple(length if isinstance(length, int) else length or "" for length in tensor.shape or ()))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
