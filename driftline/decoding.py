"""What exchanges say, each read in the wire format that its route sets, else in that of its path, and completed by its model's signature."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from config.settings import RouteSettings
from payloads.decoding import WireFormat, decode, identify, wire_format
from payloads.signatures import Signature, read_signature
from records.exchange import Exchange
from records.payload import DecodeResult


class Decoding:
    """Decodes exchanges of the routes of these settings."""

    def __init__(self, routes: Sequence[RouteSettings]) -> None:
        """Raises ValueError with a sentence for the user where a route's expression is none, or its signature cannot be read."""
        self._formats = {route.name: _format_of(route) for route in routes if route.format}
        self._signatures = {route.name: _signature_of(route) for route in routes if route.signature}

    def __call__(self, exchange: Exchange) -> tuple[DecodeResult, DecodeResult]:
        """Return what the request and the response said. Never raises."""
        request, reply = decode(exchange, self._formats.get(exchange.route))
        signature = self._signatures.get(exchange.route)
        return signature.completed(exchange, request, reply) if signature else (request, reply)

    def identify(self, exchange: Exchange, reply: DecodeResult | None = None) -> tuple[str, str]:
        """Return the model and version that the request names; each empty where it does not. `reply` is what it was decoded to, where that is known."""
        return identify(exchange, self._formats.get(exchange.route), reply)


def _format_of(route: RouteSettings) -> WireFormat:
    try:
        return wire_format(str(route.format), features=route.features, predictions=route.predictions)
    except ValueError as error:
        raise ValueError(f"route {route.name}: {error}") from None


def _signature_of(route: RouteSettings) -> Signature:
    try:
        return read_signature(Path(route.signature).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read the signature {route.signature}: {error.strerror}; name a file that exists") from None
    except ValueError as error:
        raise ValueError(f"{route.signature}: {error}") from None
