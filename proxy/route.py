"""A route as a worker holds it: arms with their connections and counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.breaker import Breaker
from proxy.pool import Pool, Target
from proxy.sampling import Sample
from proxy.tally import MirrorTally, Tally
from records.exchange import Role

if TYPE_CHECKING:
    from proxy.mirror import Copy


@dataclass(frozen=True, slots=True)
class Arm:
    """One target of a route: what was served, or a shadow."""

    name: str
    role: Role
    target: Target
    pool: Pool
    tally: Tally


class Shadow:
    """An arm that gets a copy of a part of the traffic, within its limits."""

    __slots__ = ("arm", "breaker", "copies", "max_buffer_bytes", "max_in_flight", "sample", "tally", "timeout_ns", "waiting_bytes")

    def __init__(self, arm: Arm, tally: MirrorTally, sample: Sample, *, max_in_flight: int, max_buffer_bytes: int, timeout_ns: int) -> None:
        self.arm = arm
        self.tally = tally
        self.sample = sample
        self.max_in_flight = max_in_flight
        self.max_buffer_bytes = max_buffer_bytes
        self.timeout_ns = timeout_ns
        self.breaker = Breaker()
        self.copies: set[Copy] = set()
        self.waiting_bytes = 0  # the sum over the copies


@dataclass(frozen=True, slots=True)
class Route:
    """Which model the requests are for, who answers them, and who gets a copy."""

    name: str
    model: str
    version: str
    arm: Arm
    shadows: tuple[Shadow, ...]
    idempotent: bool
    """Every request may be repeated, whatever its method."""
    kept_fields: frozenset[bytes]
    """Lower-case names of the header fields of requests that are recorded."""
