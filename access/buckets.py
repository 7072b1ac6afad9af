"""How often each of many may ask."""

from __future__ import annotations

from typing import Final

AT_MOST: Final = 65_536
"""Whoever asked lately takes an entry. With as many, the half that asked longest ago is forgotten: it gets its burst again, and nothing grows."""


class Buckets:
    """A token bucket for each name, as the generic cell rate algorithm keeps it (ITU-T I.371, annex A): one number, the time at which the bucket is full again."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._interval = 1.0 / per_second
        self._tolerance = (burst - 1) * self._interval
        self._full_at: dict[str, float] = {}

    def take(self, name: str, now: float) -> float:
        """Take a token at this time (monotonic seconds) and return 0; where there is none, return the seconds until there is one."""
        full_at = max(self._full_at.get(name, 0.0), now)
        wait = full_at - now - self._tolerance
        if wait > 1e-9:  # sums of intervals are not exact
            return wait
        if len(self._full_at) >= AT_MOST and name not in self._full_at:
            self._forget(now)
        self._full_at[name] = full_at + self._interval
        return 0.0

    def __len__(self) -> int:
        return len(self._full_at)

    def _forget(self, now: float) -> None:
        """Forget whose buckets are full, and of the others those that are full soonest, until half is left at most."""
        kept = sorted(((at, name) for name, at in self._full_at.items() if at > now), reverse=True)[: AT_MOST // 2]
        self._full_at = {name: at for at, name in kept}
