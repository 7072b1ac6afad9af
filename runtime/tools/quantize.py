"""Smaller numbers: INT8 weights (dynamic), INT8 weights and activations by calibration (static), or half precision."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from runtime.session import Array
from runtime.tools.errors import ToolError

_SMALL_TYPES = frozenset({onnx.TensorProto.INT8, onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT16})


class _Batches(CalibrationDataReader):  # type: ignore[misc]
    """Calibration rows, as ONNX Runtime asks for them."""

    def __init__(self, batches: Iterable[dict[str, Array]]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> dict[str, Array] | None:
        """Return the next batch, None after the last one."""
        return next(self._batches, None)


def quantize_weights(source: Path, target: Path) -> None:
    """Write the model with weights in INT8; activations are quantized at each run, by their range at that moment. Raises `ToolError`."""
    with _prepared(source) as prepared:
        quantize_dynamic(prepared, target, per_channel=True, weight_type=QuantType.QInt8)
    _require_change(source, target)


def quantize_calibrated(source: Path, target: Path, batches: Iterable[dict[str, Array]]) -> None:
    """Write the model with weights and activations in INT8 (QDQ), the activations' ranges taken from `batches` of inputs. Raises `ToolError`."""
    with _prepared(source) as prepared:
        # The adjustment that is switched off raises ValueError for a bias of shape [1, n], as scikit-learn's converter writes it (ONNX Runtime 1.31).
        options = {"QDQDisableWeightAdjustForInt32Bias": True}
        quantize_static(prepared, target, _Batches(batches), per_channel=True, extra_options=options)
    _require_change(source, target)


def halve_precision(source: Path, target: Path) -> None:
    """Write the model with weights and computation in FP16, inputs and outputs as they are; for GPUs. Raises `ToolError`."""
    with _told(source):
        onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)
    _require_change(source, target)


@contextmanager
def _prepared(source: Path) -> Iterator[Path]:
    """Yield the model with shapes inferred and operators fused, as the quantizer wants it."""
    with TemporaryDirectory(prefix="driftline-quantize-") as directory, _told(source):
        path = Path(directory) / "prepared.onnx"
        quant_pre_process(source, path, skip_symbolic_shape=True)
        yield path


@contextmanager
def _told(source: Path) -> Iterator[None]:
    """Turn what these libraries raise, which is anything, into one sentence; keep their advice on how to call them out of the log."""
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        yield
    except ToolError:
        raise
    except Exception as error:
        raise ToolError(f"{source} cannot be quantized: {str(error).strip().splitlines()[0] or type(error).__name__}") from error
    finally:
        logging.getLogger().setLevel(level)


def _require_change(source: Path, target: Path) -> None:
    if _small_weights(onnx.load(target)) <= _small_weights(onnx.load(source)):
        target.unlink()
        raise ToolError(f"{source} has no weights that can be quantized (such are those of MatMul, Gemm, Conv, Attention, LSTM; trees have none)")


def _small_weights(model: Any) -> int:
    return sum(weight.data_type in _SMALL_TYPES for weight in model.graph.initializer)
