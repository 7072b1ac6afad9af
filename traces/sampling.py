"""Which exchanges are worth a trace: a share of all, and those that failed."""

from __future__ import annotations

from typing import Final

from config.settings import TraceSettings
from records.exchange import ErrorKind, Exchange
from records.ids import TraceShare

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
    """Decides by the trace id, as the data plane does beforehand (`proxy.tracing`); failures are known, for the exchange is over."""

    def __init__(self, settings: TraceSettings) -> None:
        self._share = TraceShare(settings.sample)
        self._failures = settings.failures

    def keeps(self, exchange: Exchange, trace_id: int) -> bool:
        """Return whether this exchange is exported."""
        return self._share.takes(f"{trace_id:032x}") or (self._failures and failed(exchange))
