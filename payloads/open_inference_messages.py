"""Open Inference V2's messages as JSON describes them; apart from their reader, so that msgspec reads them in one step."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec

from payloads.binary_tensors import Datatype

_Size: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


class Parameters(msgspec.Struct, gc=False):
    """What a tensor says beside its values."""

    binary_data_size: _Size | None = None


class Described(msgspec.Struct, gc=False):
    """A tensor as the JSON describes it; without `data` its values lie in a blob, or in shared memory."""

    name: str
    shape: tuple[_Size, ...]
    datatype: Datatype
    data: list[Any] | None = None
    parameters: Parameters | None = None


class Request(msgspec.Struct, gc=False):
    """A request."""

    inputs: list[Described]


class Reply(msgspec.Struct, gc=False):
    """A reply that is not an error."""

    outputs: list[Described]
    model_name: str | None = None
    model_version: str | None = None


class NamedReply(msgspec.Struct, gc=False):
    """What of a reply says which model made it; the rest is passed by."""

    model_version: str | None = None
