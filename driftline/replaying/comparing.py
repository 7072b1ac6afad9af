"""What differs between a reply and that of then."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from msgspec.structs import replace

from detectors.agreement import compare
from records.exchange import Body, Exchange
from records.payload import Decoded, DecodeResult

Decode: TypeAlias = Callable[[Exchange], tuple[DecodeResult, DecodeResult]]
"""What the request and the response of an exchange say."""


class Reply(NamedTuple):
    """What a service answered."""

    status: int
    body: Body
    seconds: float
    """From sending the request until the reply was whole."""


class Difference(NamedTuple):
    """One reply beside the other; None where that cannot be told."""

    status_equal: bool
    body_equal: bool | None
    """None where the stored body is not whole."""
    outputs_agree: bool | None
    """By the rules for shadows (docs/mirror.md); None where one of the two has no outputs that can be read."""
    largest_difference: float | None
    """Between two numbers at the same place of the outputs."""


def difference(exchange: Exchange, reply: Reply, decode: Decode) -> Difference:
    """Return what differs."""
    then = exchange.response
    whole = not then.truncated and len(then.content) == then.size_bytes
    before, after = decode(exchange)[1], decode(replace(exchange, status=reply.status, response=reply.body))[1]
    comparison = compare(before, after) if isinstance(before, Decoded) and isinstance(after, Decoded) else None
    return Difference(
        status_equal=exchange.status == reply.status,
        body_equal=then.content == reply.body.content if whole else None,
        outputs_agree=comparison.agreed if comparison else None,
        largest_difference=comparison.largest_difference if comparison else None,
    )
