"""Which exchanges are worth a trace: a share of all, and those that failed."""

from __future__ import annotations

from typing import Final

from config.settings import TraceSettings
from records.exchange import ErrorKind, Exchange

_RANDOM_BITS: Final = 56
"""W3C Trace Context Level 2, §2.2.3.4: the rightmost seven bytes of a trace id are random; so are those of our own, UUIDs of version 7."""

_CLIENTS_FAULT: Final = frozenset(
    {
        ErrorKind.BAD_REQUEST,
        ErrorKind.HEAD_TIMEOUT,
        ErrorKind.BODY_TIMEOUT,
        ErrorKind.SEND_TIMEOUT,
        ErrorKind.CLIENT_LEFT,
        ErrorKind.UNAUTHENTICATED,
        ErrorKind.FORBIDDEN,
        ErrorKind.RATE_LIMITED,
    }
)


def failed(exchange: Exchange) -> bool:
    """Return whether the service did not do its part: an error on the way, or a status from 500 on. What clients do is no failure of it."""
    return exchange.status >= 500 or (exchange.error is not ErrorKind.NONE and exchange.error not in _CLIENTS_FAULT)


class Sampling:
    """Decides by the trace id, so that everybody who goes by it keeps the same traces; failures are known, for the exchange is over."""

    def __init__(self, settings: TraceSettings) -> None:
        self._below = int(settings.sample * (1 << _RANDOM_BITS))
        self._failures = settings.failures

    def keeps(self, exchange: Exchange, trace_id: int) -> bool:
        """Return whether this exchange is exported."""
        return trace_id & ((1 << _RANDOM_BITS) - 1) < self._below or (self._failures and failed(exchange))
