"""A route as a worker holds it: arms with their connections and counts."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.pool import Pool, Target
from proxy.tally import Tally
from records.exchange import Role


@dataclass(frozen=True, slots=True)
class Arm:
    """One target of a route: what was served, or a shadow."""

    name: str
    role: Role
    target: Target
    pool: Pool
    tally: Tally


@dataclass(slots=True)
class Shadow:
    """An arm that gets a copy of a share of the traffic, within its limits."""

    arm: Arm
    share: float
    max_in_flight: int
    max_body_bytes: int
    timeout_ns: int
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """Which model the requests are for, who answers them, and who gets a copy."""

    name: str
    model: str
    version: str
    arm: Arm
    shadows: tuple[Shadow, ...]
    kept_request_bytes: int
    """How much of a request's body is held until its end: for the record, and for the shadows."""
