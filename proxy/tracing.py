"""The trace context of requests that go on (W3C Trace Context, Level 2), where traces are exported.

The monitor makes spans of a share of all traces, from records, after the fact; here it is only said beforehand which ids these will have. A request of
that share goes to each arm with the id of that arm's span for its parent, so that what the arm makes of it is a part of that span; its trace is the
caller's, else one that the exchange begins. All others go on as they came: a parent that nobody exports would tear the trace.
"""

from __future__ import annotations

from typing import Final

from http1.grammar import TRACEPARENT
from records.ids import ExchangeId, TraceShare, span_id

_NOTHING: Final[frozenset[bytes]] = frozenset()
_PARENT: Final = frozenset({b"traceparent"})
_STATE: Final = frozenset({b"tracestate"})
_BOTH: Final = _PARENT | _STATE

_SAMPLED: Final = 1
_RANDOM: Final = 2
"""§3.2.2.5: flags that are passed on; all others are not known, and so cleared."""


class TraceContext:
    """How the trace of one request goes on."""

    __slots__ = ("_flags", "_trace_id", "_unchanged", "left_out")

    left_out: frozenset[bytes]
    """Lower-case names of the client's fields that do not go on as they are: a pure function of its head."""

    def __init__(self, left_out: frozenset[bytes], trace_id: str, flags: int, unchanged: bytes) -> None:
        self.left_out = left_out
        self._trace_id = trace_id
        self._flags = flags
        self._unchanged = unchanged

    def line(self, exchange_id: ExchangeId, arm: str) -> bytes:
        """Return the field's line for an arm; empty where there is none."""
        if not self._trace_id:
            return self._unchanged
        return f"traceparent: 00-{self._trace_id}-{span_id(exchange_id, arm)}-{self._flags:02x}\r\n".encode()


_AS_IT_CAME: Final = TraceContext(_NOTHING, "", 0, b"")


class Tracing:
    """Decides for each request. Where the caller's `traceparent` cannot be read, neither it nor its `tracestate` goes on (§3.3.1.1)."""

    __slots__ = ("_share",)

    def __init__(self, share: float) -> None:
        self._share = TraceShare(share)

    def context(self, named: dict[bytes, bytes], exchange_id: ExchangeId, *, recorded: bool) -> TraceContext:
        """Return how a request with these fields goes on; one that is not recorded will have no spans."""
        value = named.get(b"traceparent")
        found = TRACEPARENT.match(value) if value else None
        if value is None or found is None:
            return self._begun(named, exchange_id, recorded=recorded)
        trace_id = found[1].decode()
        if not self._share.takes(trace_id):
            return _AS_IT_CAME
        if not recorded:
            return TraceContext(_PARENT, "", 0, b"traceparent: %b\r\n" % value)
        return TraceContext(_PARENT, trace_id, int(found[3], 16) & _RANDOM | _SAMPLED, b"")

    def _begun(self, named: dict[bytes, bytes], exchange_id: ExchangeId, *, recorded: bool) -> TraceContext:
        left_out = _NOTHING
        if b"traceparent" in named:
            left_out = _BOTH
        elif b"tracestate" in named:
            left_out = _STATE
        trace_id = exchange_id.hex()
        if recorded and self._share.takes(trace_id):
            return TraceContext(left_out, trace_id, _RANDOM | _SAMPLED, b"")
        return TraceContext(left_out, "", 0, b"") if left_out else _AS_IT_CAME
