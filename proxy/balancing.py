"""Which endpoint of an upstream gets the next request, and which gets none for a while: policy, given the time, without I/O.

The least loaded endpoint gets a request, as for Envoy's and nginx's `least_conn`; endpoints that fail are ejected for a time that grows,
as Envoy's outlier detection does it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import random
from statistics import median
from typing import Final, NamedTuple, TypeVar

from records.metrics import EjectionReason

_LEAST_SHARE: Final = 0.1
"""Of its fair share of requests, for an endpoint at the begin of its slow start."""

_LONGEST_EJECTION: Final = 10
"""Times the time of the first."""

_FEWEST_REPLIES: Final = 50
"""From which an endpoint's mean latency in a window is judged."""

_LATENCY_FLOOR_NS: Final = 10_000_000
"""An endpoint that is slower by less than this harms nobody, however many times it is."""


class EjectionRules(NamedTuple):
    """When an endpoint is left out, and for how long."""

    failures: int
    """In a row."""
    seconds: float
    """The first time; after a further ejection before as much time has passed again, a multiple."""
    max_share: float
    latency_factor: int


class Candidate:
    """An endpoint as the policy sees it. Times are the event loop's, in seconds."""

    def __init__(self) -> None:
        self.load = 0
        """Requests in flight, and connections being made for some."""
        self.in_service = True
        """Neither ejected nor failing its health checks."""
        self.passes_checks = True
        self.checked_alike = -1
        """Results of health checks in a row that contradict `passes_checks`; −1 before the first check."""
        self.failures = 0
        """In a row; an ejection does not end the row, so that the next failure after it ejects again."""
        self.ejections = 0
        """In succession: what the next ejection's time is multiplied by, less one."""
        self.ejected_until = -math.inf
        self.warm_since = -math.inf
        """When it came into service."""
        self.replies = 0
        self.replies_ns = 0
        """In this window: how many, and their times to the head together."""

    def ejected(self, now: float) -> bool:
        """Whether it gets no requests for its failures or its latency."""
        return now < self.ejected_until

    def share(self, now: float, slow_start_seconds: float) -> float:
        """Return how much of its fair share of requests it is to get: a part that grows, then all."""
        warm_seconds = now - self.warm_since
        return 1.0 if warm_seconds >= slow_start_seconds else max(_LEAST_SHARE, warm_seconds / slow_start_seconds)

    def take_service(self, now: float) -> bool:
        """Bring `in_service` up to date; True where that changed it."""
        serves = self.passes_checks and not self.ejected(now)
        if serves == self.in_service:
            return False
        self.in_service = serves
        if serves:
            self.warm_since = now
        return True

    def checked(self, passed: bool, *, healthy_after: int, unhealthy_after: int) -> None:
        """Take the result of a health check: the first holds at once, later ones when enough in a row contradict what was known."""
        if self.checked_alike < 0:
            self.passes_checks = passed
        elif passed != self.passes_checks:
            self.checked_alike += 1
            if self.checked_alike < (healthy_after if passed else unhealthy_after):
                return
            self.passes_checks = passed
        self.checked_alike = 0


C = TypeVar("C", bound=Candidate)


def choose(candidates: Sequence[C], limit: int, now: float, slow_start_seconds: float) -> C | None:
    """Return the least loaded candidate in service; of all, where none is in service. None where those have `limit` requests each.

    Ties are decided at random, and so that a candidate in its slow start gets its share of requests, also where nothing else is in flight.
    """
    best = None
    least = math.inf
    panic = not any(candidate.in_service for candidate in candidates)
    for candidate in candidates:
        if (candidate.in_service or panic) and candidate.load < limit:
            score = (candidate.load + random()) / candidate.share(now, slow_start_seconds)  # noqa: S311 - a tie, not a secret
            if score < least:
                best, least = candidate, score
    return best


def eject(candidate: Candidate, candidates: Sequence[Candidate], rules: EjectionRules, now: float) -> bool:
    """Leave the candidate out for a while; False where as many others are out as may be."""
    out = sum(other.ejected(now) for other in candidates)
    if candidate.ejected(now) or out + 1 > rules.max_share * len(candidates):
        return False
    candidate.ejections = min(candidate.ejections + 1, _LONGEST_EJECTION)
    candidate.ejected_until = now + rules.seconds * candidate.ejections
    return True


def failed(candidate: Candidate, candidates: Sequence[Candidate], rules: EjectionRules, now: float) -> EjectionReason | None:
    """Count a failure; return the reason where it ejected the candidate."""
    candidate.failures += 1
    return EjectionReason.FAILURES if candidate.failures >= rules.failures and eject(candidate, candidates, rules, now) else None


def forgive(candidate: Candidate, rules: EjectionRules, now: float) -> None:
    """Let an ejection be forgotten for each time that passed since the last one's end as the first one took."""
    while candidate.ejections and now >= candidate.ejected_until + rules.seconds:
        candidate.ejections -= 1
        candidate.ejected_until += rules.seconds


def slow(candidates: Sequence[C], rules: EjectionRules) -> list[C]:
    """Return whose replies took much longer than the others', slowest first, and begin a new window.

    Fewer than three endpoints with enough replies have no median that one of them could not pull.
    """
    means = {candidate: candidate.replies_ns / candidate.replies for candidate in candidates if candidate.replies >= _FEWEST_REPLIES}
    for candidate in candidates:
        candidate.replies = candidate.replies_ns = 0
    if len(means) < 3:
        return []
    ordinary = median(means.values())
    outliers = [candidate for candidate, mean in means.items() if mean > rules.latency_factor * ordinary and mean - ordinary > _LATENCY_FLOOR_NS]
    return sorted(outliers, key=lambda candidate: -means[candidate])
