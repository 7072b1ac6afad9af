"""What exchanges say, each read in the wire format that its route sets, else in that of its path."""

from __future__ import annotations

from collections.abc import Sequence

from config.settings import RouteSettings
from payloads.decoding import WireFormat, decode, wire_format
from records.exchange import Exchange
from records.payload import DecodeResult


class Decoding:
    """Decodes exchanges of the routes of these settings."""

    def __init__(self, routes: Sequence[RouteSettings]) -> None:
        """Raises ValueError with a sentence for the user where a route's expression is none."""
        self._formats = {route.name: _format_of(route) for route in routes if route.format}

    def __call__(self, exchange: Exchange) -> tuple[DecodeResult, DecodeResult]:
        """Return what the request and the response said. Never raises."""
        return decode(exchange, self._formats.get(exchange.route))


def _format_of(route: RouteSettings) -> WireFormat:
    try:
        return wire_format(str(route.format), features=route.features, predictions=route.predictions)
    except ValueError as error:
        raise ValueError(f"route {route.name}: {error}") from None
