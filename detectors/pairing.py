"""Which replies belong together: what was served and what shadows said, to one request, in whichever order they come."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from records.exchange import ErrorKind, Exchange, Role
from records.ids import ExchangeId
from records.payload import DecodeResult

_FIRST_ERROR_STATUS: Final = 400


class Reply(NamedTuple):
    """What one of them answered."""

    arm: str
    response: DecodeResult
    seconds: float
    """Of the whole exchange."""
    is_answer: bool
    """Whether it came whole."""
    failed: bool
    """Whether it has an error status."""
    model: str = ""
    """Which one was asked for, as the served exchange has it; empty for a shadow's."""
    version: str = ""


class Pair(NamedTuple):
    """Both replies to one request."""

    exchange_id: ExchangeId
    served: Reply
    shadow: Reply


class _Entry:
    """What is known of one exchange: the served reply once it came, and shadows' replies that wait for it."""

    __slots__ = ("served", "shadows", "size")

    def __init__(self) -> None:
        self.served: Reply | None = None
        self.shadows: list[Reply] = []
        self.size = 0


class Pairing:
    """Pairs replies by exchange.

    A served reply is kept, since more shadows may follow, until newer exchanges push it out: at most `max_exchanges` and as many as
    `max_bytes` of bodies said. `unpaired` counts the shadows' replies that were pushed out alone.
    """

    def __init__(self, *, max_exchanges: int = 10_000, max_bytes: int = 16 * 1024 * 1024) -> None:
        self._max_exchanges = max_exchanges
        self._max_bytes = max_bytes
        self._entries: OrderedDict[ExchangeId, _Entry] = OrderedDict()
        self._size = 0
        self.unpaired = 0

    def add(self, exchange: Exchange, response: DecodeResult, model: str = "", version: str = "") -> list[Pair]:
        """Take one reply; return the pairs that it completes. `model` and `version` are of what was served."""
        exchange_id = exchange.exchange_id
        reply = Reply(exchange.arm, response, exchange.total_ns / 1e9, exchange.error is ErrorKind.NONE, exchange.status >= _FIRST_ERROR_STATUS, model, version)
        entry = self._entries.get(exchange_id)
        if entry is None:
            entry = self._entries[exchange_id] = _Entry()
        if exchange.role is Role.SERVED:
            entry.served = reply
            pairs = [Pair(exchange_id, reply, shadow) for shadow in entry.shadows]
            entry.shadows = []
        elif entry.served is None:
            entry.shadows.append(reply)
            pairs = []
        else:
            return [Pair(exchange_id, entry.served, reply)]
        size = len(exchange.response.content)
        entry.size += size
        self._size += size
        while len(self._entries) > self._max_exchanges or self._size > self._max_bytes:
            self._evict_oldest()
        return pairs

    def _evict_oldest(self) -> None:
        _, oldest = self._entries.popitem(last=False)
        self._size -= oldest.size
        self.unpaired += len(oldest.shadows)
