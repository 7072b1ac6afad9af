"""When each request of a replay is due."""

from __future__ import annotations

from typing import NamedTuple


class Pace(NamedTuple):
    """As then, faster or slower; or at a rate of its own."""

    speed: float = 1.0
    """1 keeps the times between requests, 10 makes them a tenth."""
    rate: float | None = None
    """Requests per second, whatever the times were; None keeps to the speed."""

    def due_seconds(self, sent: int, passed_ns: int) -> float:
        """Return when a request is due, in seconds from the first one: `sent` were before it, and `passed_ns` had passed then since the first one.

        >>> Pace(speed=10).due_seconds(3, 5_000_000_000), Pace(rate=2).due_seconds(3, 5_000_000_000)
        (0.5, 1.5)
        """
        return sent / self.rate if self.rate else max(0, passed_ns) / 1e9 / self.speed
