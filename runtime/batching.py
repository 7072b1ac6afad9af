"""What is computed together, and when: policy alone, without clock, without arrays.

An instance that is free takes what waits, at once. Batches grow by themselves while all instances are busy; so load makes them, and an idle
model answers as fast as it can. `max_wait` holds a batch back only where more came together lately than wait now.

With a p99 target a request waits for the batch that is being computed and then for its own, so each may take half of the target; and what
could not be answered within it is refused when it comes, not when it is late.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

from config.model import BatchingSettings
from runtime.inference import Inference, Key
from runtime.latency import LatencyModel

_FORGET: Final = 0.9
"""What is left of the number that came together, with each batch that was smaller."""

Group: TypeAlias = tuple[int, Key]
"""Priority, then key."""


class Later(NamedTuple):
    """Nothing is to be computed before this time, unless more comes."""

    at_ns: int


class BatchQueue:
    """Requests of one model in the order in which they are computed."""

    def __init__(self, settings: BatchingSettings, latency: LatencyModel) -> None:
        self._max_rows = settings.max_rows
        self._target_seconds = float(settings.p99_target) if settings.p99_target is not None else 0.0
        self._max_wait_ns = int(settings.max_wait * 1e9)
        self._latency = latency
        self._groups: dict[Group, deque[Inference]] = {}
        self._together = 1.0
        self.requests = 0
        self.rows = 0

    @property
    def batch_rows(self) -> int:
        """Rows that a batch may have now."""
        if not self._target_seconds:
            return self._max_rows
        return self._latency.rows_within(self._target_seconds / 2, self._max_rows)

    def put(self, item: Inference) -> None:
        """Let a request wait."""
        group = (item.priority, item.key)
        waiting = self._groups.get(group)
        if waiting is None:
            waiting = self._groups[group] = deque()
        waiting.append(item)
        self.requests += 1
        self.rows += item.rows

    def wait_seconds(self, instances: int) -> float:
        """Return how long a request that came now would wait, by what batches take; 0 where nothing is known."""
        if not self.rows or not self._latency.known:
            return 0.0
        batch = self.batch_rows
        return self._latency.mean(batch) * (self.rows / batch) / max(1, instances)

    def would_be_late(self, instances: int) -> bool:
        """Whether a request that came now could not be answered within the p99 target."""
        return bool(self._target_seconds) and self.wait_seconds(instances) + self._latency.mean(1) > self._target_seconds

    def take(self, now_ns: int) -> list[Inference] | Later | None:
        """Return what is to be computed now, together; None where nothing waits. What is abandoned or too late must have been expired before."""
        first = self._first()
        if first is None:
            return None
        limit = self.batch_rows if first[1] is not None else 1
        if self._max_wait_ns and first[1] is not None and (later := self._worth_waiting(first, limit, now_ns)):
            return later
        batch = self._fill(first, limit)
        self._together = max(float(len(batch)), self._together * _FORGET)
        return batch

    def expire(self, now_ns: int) -> list[Inference]:
        """Remove and return what is abandoned or too late."""
        gone = [item for waiting in self._groups.values() for item in waiting if item.abandoned or item.deadline_ns <= now_ns]
        for item in gone:
            group = (item.priority, item.key)
            self._groups[group].remove(item)
            self._removed(group, item)
        return gone

    def oldest_ns(self) -> int:
        """Return when the oldest request came; 0 where nothing waits."""
        return min((waiting[0].arrived_ns for waiting in self._groups.values()), default=0)

    def _first(self) -> Group | None:
        """Return the group whose turn it is: the first priority, and in it the one that has waited longest."""
        if len(self._groups) > 1:
            return min(self._groups, key=lambda group: (group[0], self._groups[group][0].arrived_ns))
        return next(iter(self._groups), None)

    def _worth_waiting(self, group: Group, limit: int, now_ns: int) -> Later | None:
        until_ns = self._groups[group][0].arrived_ns + self._max_wait_ns
        return Later(until_ns) if until_ns > now_ns and self.rows < limit and self.requests < int(self._together) else None

    def _fill(self, first: Group, limit: int) -> list[Inference]:
        """Take requests of one key, by priority, until the next one would not fit; one alone may be larger than that."""
        batch: list[Inference] = []
        rows = 0
        for group in self._with_key(first):
            waiting = self._groups[group]
            while waiting and (not batch or (first[1] is not None and rows + waiting[0].rows <= limit)):
                item = waiting.popleft()
                batch.append(item)
                rows += item.rows
                self.requests -= 1
            if waiting:
                break
            del self._groups[group]
        self.rows -= rows
        return batch

    def _with_key(self, first: Group) -> Iterator[Group]:
        yield first
        if first[1] is not None and len(self._groups) > 0:
            yield from sorted(group for group in self._groups if group[1] == first[1] and group != first)

    def _removed(self, group: Group, item: Inference) -> None:
        self.requests -= 1
        self.rows -= item.rows
        if not self._groups[group]:
            del self._groups[group]
