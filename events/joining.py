"""A request's event and its reply's to one exchange, within bounds of memory and time.

Events come in any order, more than once, or not at all. A half waits for the other one; when it has waited too long, or there is no room, it becomes an
exchange by itself, which says what is missing. An event that came before, by its id and kind, is known among the latest ones and left out.

Exchange ids are made of the request's id and time, so that the same events give the same id, whoever joins them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final, NamedTuple

from events.logged import Half, Side
from records.exchange import NO_BODY, ErrorKind, Exchange, Role


class JoinLimits(NamedTuple):
    """What is remembered at most."""

    wait_seconds: float = 60.0
    """How long a half waits for the other one."""
    waiting_bytes: int = 64 * 1024 * 1024
    """Of halves that wait, bodies and what surrounds them."""
    known_events: int = 100_000
    """Latest events by which repeated ones are known."""


class Joined(NamedTuple):
    """An exchange, and the number of events that it was made of: 1 or 2."""

    exchange: Exchange
    events: int


class _Waiting(NamedTuple):
    half: Half
    since: float


_OVERHEAD_BYTES: Final = 1_000
"""Of a half beside its body."""


class EventJoiner:
    """Not for several threads at once. Times are monotonic seconds."""

    def __init__(self, limits: JoinLimits) -> None:
        self._limits = limits
        self._waiting: OrderedDict[Side, _Waiting] = OrderedDict()
        self._known: OrderedDict[tuple[Side, str], None] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        """Return how many halves wait."""
        return len(self._waiting)

    def add(self, half: Half, now: float, now_ns: int) -> list[Joined] | None:
        """Take one half, received at the Unix time `now_ns`; return the exchanges that are ready, None where it came before."""
        if not self._is_new(half):
            return None
        other = self._take(half.side(is_request=not half.is_request))
        if other is not None:
            return [Joined(_exchange(*(half, other) if half.is_request else (other, half), now_ns), 2)]
        self._waiting[half.side(is_request=half.is_request)] = _Waiting(half, now)
        self._bytes += _size(half)
        return list(self._made_room(now_ns))

    def expire(self, now: float, now_ns: int) -> list[Joined]:
        """Return what has waited too long, as exchanges of one half."""
        expired = []
        while self._waiting and now - next(iter(self._waiting.values())).since >= self._limits.wait_seconds:
            expired.append(self._oldest(now_ns))
        return expired

    def flush(self, now_ns: int) -> list[Joined]:
        """Return all that waits, as exchanges of one half."""
        return [self._oldest(now_ns) for _ in range(len(self._waiting))]

    def _is_new(self, half: Half) -> bool:
        side = half.side(is_request=half.is_request)
        name = (side, half.event_id)
        if name in self._known or side in self._waiting:
            return False
        self._known[name] = None
        if len(self._known) > self._limits.known_events:
            self._known.popitem(last=False)
        return True

    def _take(self, side: Side) -> Half | None:
        waiting = self._waiting.pop(side, None)
        if waiting is None:
            return None
        self._bytes -= _size(waiting.half)
        return waiting.half

    def _made_room(self, now_ns: int) -> Iterator[Joined]:
        while self._bytes > self._limits.waiting_bytes:
            yield self._oldest(now_ns)

    def _oldest(self, now_ns: int) -> Joined:
        side = next(iter(self._waiting))
        half = self._take(side)
        return Joined(_exchange(half, None, now_ns) if side.is_request else _exchange(None, half, now_ns), 1)


def _exchange(request: Half | None, reply: Half | None, now_ns: int) -> Exchange:
    first = request or reply
    assert first is not None
    started_at_ns = first.at_ns or now_ns
    took_ns = reply.at_ns - request.at_ns if request and reply and request.at_ns and reply.at_ns else -1
    return Exchange(
        exchange_id=_exchange_id(first, started_at_ns),
        request_id=first.request_id,
        role=Role.SERVED,
        route="",
        arm=first.arm,
        started_at_ns=started_at_ns,
        method="POST",
        path=request.path if request else "/",
        model=first.model,
        total_ns=max(-1, took_ns),
        status=200 if reply else 0,  # loggers say nothing of errors
        error=ErrorKind.NONE if request and reply else ErrorKind.REPLY_NOT_LOGGED if request else ErrorKind.REQUEST_NOT_LOGGED,
        request=request.body if request else NO_BODY,
        response=reply.body if reply else NO_BODY,
    )


def _exchange_id(half: Half, started_at_ns: int) -> bytes:
    """Return a UUIDv7 whose random bits are a hash."""
    identity = f"{half.model}\0{half.arm}\0{half.request_id}".encode()
    hashed = bytearray((started_at_ns // 1_000_000).to_bytes(6, "big") + blake2b(identity, digest_size=10).digest())
    hashed[6] = 0x70 | hashed[6] & 0x0F
    hashed[8] = 0x80 | hashed[8] & 0x3F
    return bytes(hashed)


def _size(half: Half) -> int:
    return len(half.body.content) + _OVERHEAD_BYTES
