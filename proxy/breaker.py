"""When to stop sending to a shadow that fails, and when to try it again. Pure: it is given the time."""

from __future__ import annotations

from typing import Final

_REMEMBERED: Final = (1 << 20) - 1
_IN_A_ROW: Final = (1 << 5) - 1
_FAILED_AT_MOST: Final = 10
_SHORTEST_NS: Final = 1_000_000_000
_LONGEST_NS: Final = 60_000_000_000


class Breaker:
    """A circuit breaker: closed while requests end well; open after five failures in a row, or more than ten among the last twenty.

    While it is open one request goes through after each pause, as a probe. One that ends well closes the circuit; one that fails doubles the
    pause, from a second to a minute. A circuit that opens again within a minute goes on from the pause that it had.
    """

    __slots__ = ("_closed_at_ns", "_generation", "_outcomes", "_pause_ns", "_probe_at_ns", "is_open")

    def __init__(self) -> None:
        self.is_open = False
        self._generation = 1
        self._outcomes = 0  # a bit each, the latest lowest; 1 failed
        self._pause_ns = 0
        self._closed_at_ns = 0
        self._probe_at_ns = 0

    def admit(self, now_ns: int) -> int:
        """Return a ticket for one request, for `ended`; 0 where it may not be sent. A request that comes to no end costs nothing."""
        if self.is_open:
            if now_ns < self._probe_at_ns:
                return 0
            self._probe_at_ns = now_ns + self._pause_ns
        return self._generation

    def ended(self, ticket: int, now_ns: int, *, failed: bool) -> None:
        """Say how a request ended. What was admitted before the circuit last changed says nothing about it any more."""
        if ticket != self._generation:
            return
        if self.is_open:
            if failed:
                self._open(now_ns)
            else:
                self._close(now_ns)
            return
        self._outcomes = (self._outcomes << 1 | failed) & _REMEMBERED
        if failed and (self._outcomes & _IN_A_ROW == _IN_A_ROW or self._outcomes.bit_count() > _FAILED_AT_MOST):
            if now_ns - self._closed_at_ns > _LONGEST_NS:
                self._pause_ns = 0
            self._open(now_ns)

    def _open(self, now_ns: int) -> None:
        self.is_open = True
        self._generation += 1
        self._pause_ns = max(_SHORTEST_NS, min(2 * self._pause_ns, _LONGEST_NS))
        self._probe_at_ns = now_ns + self._pause_ns

    def _close(self, now_ns: int) -> None:
        self.is_open = False
        self._generation += 1
        self._outcomes = 0
        self._closed_at_ns = now_ns
