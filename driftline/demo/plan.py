"""How much traffic a run sends: enough windows on a fast machine and on a slow one."""

from __future__ import annotations

from typing import Final, NamedTuple

_RATE_PER_SECOND: Final = 400.0
_SHARE_OF_CAPACITY: Final = 0.2
"""Clients, service, challenger, proxy and monitor share the machine: latency is measured where it is not saturated."""
_WINDOWS: Final = 10
"""At least: five before the drift, five after."""
_WINDOW_ROWS: Final = 1_000
"""The product's default."""
_FEWEST_WINDOW_ROWS: Final = 500
"""Smaller windows would need more than three to show this drift within a budget of one false alert in 30 days."""


class Plan(NamedTuple):
    """The traffic of one run."""

    requests: int
    rate_per_second: float
    window_rows: int
    drift_at: int
    """The number of the first request that the miscalibrated instrument made, from 0."""

    @property
    def duration_seconds(self) -> float:
        """How long the traffic takes where the machine keeps up."""
        return self.requests / self.rate_per_second


def make_plan(duration_seconds: float, capacity_per_second: float) -> Plan:
    """Return the traffic for a duration on a machine whose service alone answers `capacity_per_second` requests.

    A slow machine gets fewer requests and smaller windows, and below a limit a longer run.

    >>> make_plan(60, 5_000)
    Plan(requests=24000, rate_per_second=400.0, window_rows=1000, drift_at=12000)
    >>> make_plan(20, 1_000)
    Plan(requests=5000, rate_per_second=200.0, window_rows=500, drift_at=2500)
    """
    rate = min(_RATE_PER_SECOND, capacity_per_second * _SHARE_OF_CAPACITY)
    requests = max(int(rate * duration_seconds), _WINDOWS * _FEWEST_WINDOW_ROWS)
    return Plan(requests, rate, min(requests // _WINDOWS, _WINDOW_ROWS), requests // 2)
