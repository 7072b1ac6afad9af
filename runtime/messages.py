"""The JSON of Open Inference V2 as a server reads it. Apart from what is compiled: msgspec makes its decoders from these annotations at run time."""

from __future__ import annotations

from typing import Any

import msgspec


class InferTensor(msgspec.Struct, gc=False):
    """A tensor; without `data` its values lie behind the JSON."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class RequestedOutput(msgspec.Struct, gc=False):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] | None = None


class InferRequest(msgspec.Struct, gc=False):
    """A request."""

    inputs: list[InferTensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[RequestedOutput] | None = None


class RecordedSample(msgspec.Struct):
    """A recorded request and its reply."""

    inputs: list[InferTensor]
    outputs: list[InferTensor]
