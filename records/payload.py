"""Named tensors decoded from a body, or the reason why there are none."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeAlias

import msgspec


class Undecodable(StrEnum):
    """Why a body gave no tensors. The exchange is stored raw all the same, and counted under this reason."""

    UNKNOWN_FORMAT = "unknown_format"
    EMPTY = "empty"
    TRUNCATED = "truncated"  # the capture limit cut it
    ENCODED = "encoded"  # a content coding that is not understood, or that did not decompress within its bound
    MALFORMED = "malformed"  # not what the format's specification allows
    RAGGED = "ragged"  # rows of different lengths
    TOO_LARGE = "too_large"  # more values than are worth decoding
    NO_DATA = "no_data"  # the values, or what they are, are not on the wire (shared memory regions, raw binary requests)
    ERROR_REPLY = "error_reply"  # a reply with an error status carries no prediction


class Tensor(msgspec.Struct, frozen=True, gc=False):
    """Values by name. `values` is flat and row-major: as many entries as the product of `shape`."""

    name: str
    datatype: str
    """Open Inference V2's name: BOOL, UINT8 … INT64, FP16, FP32, FP64, BYTES (values are str); or JSON for mixed values."""
    shape: tuple[int, ...]
    values: list[Any]
    """bool, int, float, str or None (missing)."""


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """What one body said. The first axis of every tensor counts rows."""

    format: str
    """The wire format: `v2`, `v1`, `mlflow`."""
    tensors: list[Tensor]
    model: str = ""
    """As the path or body names it; empty where neither does."""
    version: str = ""


class Failed(msgspec.Struct, frozen=True, gc=False):
    """A body that gave no tensors."""

    format: str
    """The wire format that was tried; empty where none was recognised."""
    reason: Undecodable
    model: str = ""
    version: str = ""


DecodeResult: TypeAlias = Decoded | Failed
