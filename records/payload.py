"""Named tensors decoded from a body, or the reason why there are none."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, TypeAlias

import msgspec


class Undecodable(StrEnum):
    """Why a body gave no tensors. The exchange is stored raw all the same, and counted under this reason."""

    UNKNOWN_FORMAT = "unknown_format"  # nothing tells the format
    EMPTY = "empty"  # there is no body
    TRUNCATED = "truncated"  # the capture limit cut it
    ENCODED = "encoded"  # a content coding that is not understood, or that did not decompress within its bound
    MALFORMED = "malformed"  # not what the format's specification allows
    RAGGED = "ragged"  # rows of different lengths
    TOO_LARGE = "too_large"  # more values than are worth decoding
    NO_DATA = "no_data"  # the values, or what they are, are not on the wire (shared memory regions, raw binary requests, images)
    ERROR_REPLY = "error_reply"  # a reply with an error status, or that reports an error, carries no prediction
    FEEDBACK = "feedback"  # not a prediction, but what turned out to be true of one


class Format(StrEnum):
    """The wire formats, as records, metrics and settings name them."""

    V2 = "v2"  # Open Inference V2
    GENERATE = "generate"  # Triton's generate extension
    V1 = "v1"  # TensorFlow Serving, KServe V1
    TORCHSERVE = "torchserve"
    SELDON = "seldon"  # Seldon Core V1
    MLFLOW = "mlflow"
    SAGEMAKER = "sagemaker"
    AZUREML = "azureml"
    OPENAI = "openai"  # compatible services
    CLIPPER = "clipper"
    JSON = "json"  # any, by expressions of the route


TEXT: Final = "TEXT"
"""The datatype of free text: what it says is kept, and is not a level of anything."""


STREAM_TIMES: Final = ("time_to_first_token_seconds", "time_per_output_token_seconds")
"""The tensors that say how long a streamed reply took: kept with what it says, and no part of it."""


class Tensor(msgspec.Struct, frozen=True, gc=False):
    """Values by name. `values` is flat and row-major: as many entries as the product of `shape`."""

    name: str
    datatype: str
    """What the values are. Numbers: Open Inference V2's BOOL, UINT8 … INT64, FP16, BF16, FP32, FP64. Categories: BYTES (values are str). Mixed: JSON.
    Free text: TEXT. A vector per row has a shape of more than one dimension."""
    shape: tuple[int, ...]
    values: list[Any]
    """bool, int, float, str or None (missing)."""
    columns: tuple[str, ...] = ()
    """The names of a row's values, one for each, where the body or the model's signature names them."""


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """What one body said. The first axis of every tensor counts rows."""

    format: str
    """The wire format, a `Format`."""
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
