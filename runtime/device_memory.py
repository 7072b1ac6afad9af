"""How much memory of the CUDA device is taken. ONNX Runtime tells Python nothing of its arenas: CUDA is asked."""

from __future__ import annotations

import ctypes
from functools import cache


def used_bytes(cuda_version: str) -> int | None:
    """Return how much memory of the device all processes have together; None where CUDA, of the version that is named, or the device is not there."""
    library = _library(cuda_version.partition(".")[0])
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    if library is None or library.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total)):
        return None
    return total.value - free.value


@cache
def _library(major: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(f"libcudart.so.{major}")
    except OSError:
        return None
