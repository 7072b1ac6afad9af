"""Which versions serve now. The directory is looked at every so often; versions come into service one after the other, each when it has been verified.

What is new or was written again is loaded beside what serves, and takes its place only when it can; the old one finishes what it has. What fails
leaves things as they were, says why, and is tried again when its files change. What has gone from the directory goes out of service.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from config.choices import Device
from records.metrics import Metric
from runtime.crowd import Crowd
from runtime.lane import Lane
from runtime.refusal import Refused
from runtime.repository import Found, Repository, RepositoryError, Stamp, Version
from runtime.session import ModelError
from runtime.verification import VerificationError, Verified, verify
from runtime.watch import Watch

_log = logging.getLogger(__name__)

_DRAIN_LOOKS_SECONDS: Final = 0.05


class State(StrEnum):
    """Of a version, in the words of Triton's repository extension."""

    READY = "READY"
    LOADING = "LOADING"
    UNAVAILABLE = "UNAVAILABLE"


class Entry:
    """A version that was found in the directory."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.stamp: Stamp | None = None
        """Of what was tried last."""
        self.lane: Lane | None = None
        self.state = State.LOADING
        self.reason = ""


class Listed(NamedTuple):
    """A line of the index."""

    model: str
    version: str
    state: State
    reason: str


class Catalogue:
    """Models by name, and what has to be done to keep them as the directory has them. Everything but reading and verifying happens on the event loop."""

    def __init__(self, repository: Repository, device: Device, crowd: Crowd) -> None:
        self._repository = repository
        self._device = device
        self._crowd = crowd
        self._watch = Watch()
        self._models: dict[str, dict[int, Entry]] = {}
        self._unloaded: set[str] = set()
        """Models that somebody has unloaded, until somebody loads them."""
        self._leaving: set[Lane] = set()
        self._resolved: dict[tuple[str, str], Lane] = {}
        """What `lane` has found since the last change."""
        self._changing = asyncio.Lock()
        self._failures: Counter[str] = Counter()
        self._looked = False
        self._fault = ""

    @property
    def names(self) -> list[str]:
        """Models of which a version serves."""
        return [name for name, versions in self._models.items() if any(entry.lane for entry in versions.values())]

    @property
    def ready(self) -> bool:
        """Whether everything that was found at first has been tried, and there is no model of which nothing serves."""
        return self._looked and all(name in self._unloaded or any(entry.lane for entry in versions.values()) for name, versions in self._models.items())

    def lanes(self) -> Iterator[Lane]:
        """Return what serves, and what still has something to finish."""
        yield from (entry.lane for versions in self._models.values() for entry in versions.values() if entry.lane)
        yield from self._leaving

    def lane(self, model: str, version: str = "") -> Lane:
        """Return what serves a model: a version by its number or label, or the newest. Raises Refused."""
        resolved = self._resolved.get((model, version))
        if resolved is not None:
            return resolved
        versions = self._models.get(model)
        if versions is None:
            raise Refused(404, f"expected one of the models {', '.join(self.names) or '(none is served)'}, found {model[:200]}")
        serving = [entry.lane for _, entry in sorted(versions.items(), reverse=True) if entry.lane]
        for lane in serving:
            if not version or lane.number == version or version in lane.version.settings.labels:
                self._resolved[model, version] = lane
                return lane
        raise _not_served(model, version, versions, serving)

    def only(self) -> Lane:
        """Return the newest version of the only model. Raises Refused where there are several, or none."""
        names = self.names
        if len(names) != 1:
            raise Refused(404, f"expected a path with the name of a model, as {len(names)} are served: {', '.join(names)}"[:2000])
        return self.lane(names[0])

    def versions(self, model: str) -> list[str]:
        """Return the numbers of the versions of a model that serve, the newest last."""
        return [str(number) for number, entry in sorted(self._models.get(model, {}).items()) if entry.lane]

    def index(self) -> list[Listed]:
        """Return everything that was found."""
        return [Listed(model, str(number), entry.state, entry.reason) for model, versions in self._models.items() for number, entry in sorted(versions.items())]

    def samples(self) -> Iterator[tuple[tuple[str, ...], float]]:
        """Return what is counted, as `runtime.tally.Samples` has it."""
        for lane in self.lanes():
            yield from lane.samples()
        for model, count in self._failures.items():
            yield (Metric.RUNTIME_LOAD_FAILURES.metric_name, model), count

    async def look(self) -> None:
        """Bring what serves up to date with the directory. Failures are said, counted, and kept in the index."""
        async with self._changing:
            try:
                found = await asyncio.to_thread(self._repository.scan)
            except RepositoryError as error:
                if str(error) != self._fault:
                    _log.error("%s; what serves goes on", error)
                self._fault = str(error)
                return
            self._fault = ""
            for each in found.values():
                entry = self._models.setdefault(each.model, {}).setdefault(each.number, Entry(each))
                entry.found = each
                if each.model not in self._unloaded and entry.stamp != each.stamp:
                    await self._load(entry)
            self._forget_absent(found)  # after loading: what takes its place may have come in the same instant
            self._looked = True

    async def load(self, model: str) -> None:
        """Take all versions of a model into service that lie in the directory, also those that failed before. Raises Refused where none can be."""
        self._unloaded.discard(model)
        for entry in self._models.get(model, {}).values():
            if entry.lane is None:
                entry.stamp = None
        await self.look()
        versions = self._models.get(model)
        if versions is None:
            raise Refused(404, f"expected a model in the directory {self._repository.directory}, found none called {model[:200]}")
        if not any(entry.lane for entry in versions.values()):
            raise Refused(400, f"{model} cannot be loaded: {'; '.join(entry.reason for entry in versions.values())}")

    async def unload(self, model: str) -> None:
        """Take a model out of service until `load`. Raises Refused where there is none."""
        async with self._changing:
            if model not in self._models:
                raise Refused(404, f"expected one of the models {', '.join(self._models)}, found {model[:200]}")
            self._unloaded.add(model)
            for entry in self._models[model].values():
                self._retire(entry, "unloaded")
                entry.stamp = None

    def sweep(self, now_ns: int) -> None:
        """See Lane; also close what has finished."""
        for lane in self.lanes():
            lane.sweep(now_ns)
        for lane in [lane for lane in self._leaving if lane.idle]:
            self._leaving.remove(lane)
            lane.close()

    def scale(self, seconds: float) -> None:
        """See Lane."""
        for lane in self.lanes():
            lane.scale(seconds)

    def close(self) -> None:
        """Give up what waits."""
        for lane in self.lanes():
            lane.close()
        self._watch.close()

    async def _load(self, entry: Entry) -> None:
        found = entry.found
        entry.stamp = found.stamp
        entry.state = State.READY if entry.lane else State.LOADING
        try:
            version, verified = await asyncio.to_thread(self._verified, found)
        except (RepositoryError, ModelError, VerificationError) as error:
            self._failures[found.model] += 1
            entry.reason = str(error)
            entry.state = State.READY if entry.lane else State.UNAVAILABLE
            goes_on = "; what served before goes on" if entry.lane or self.versions(found.model) else ""
            _log.error("%s version %d is not taken into service: %s%s", found.model, found.number, error, goes_on)
            return
        old = entry.lane
        entry.lane = Lane(version, verified, self._watch, self._crowd)
        entry.state, entry.reason = State.READY, ""
        self._resolved.clear()
        if old is not None:
            self._leaving.add(old)
        _log.info("%s version %d serves (%s, on %s): %s", found.model, found.number, version.uuid, entry.lane.device, entry.lane.signature)

    def _verified(self, found: Found) -> tuple[Version, Verified]:
        version = self._repository.read(found.model, found.number)
        return version, verify(version, self._device)

    def _forget_absent(self, found: dict[tuple[str, int], Found]) -> None:
        for model, versions in list(self._models.items()):
            for number in [number for number in versions if (model, number) not in found]:
                self._retire(versions.pop(number), "gone from the directory")
            if not versions:
                del self._models[model]

    def _retire(self, entry: Entry, why: str) -> None:
        if entry.lane is not None:
            _log.info("%s version %d serves no more: %s", entry.found.model, entry.found.number, why)
            self._leaving.add(entry.lane)
        entry.lane = None
        entry.state, entry.reason = State.UNAVAILABLE, why
        self._resolved.clear()


def _not_served(model: str, version: str, versions: dict[int, Entry], serving: list[Lane]) -> Refused:
    reasons = [entry.reason for number, entry in versions.items() if version in {"", str(number)} and entry.reason]
    why = f": {reasons[-1]}" if reasons else ""
    if not version or version in map(str, versions):
        return Refused(503, f"{model}{' version ' + version if version else ''} does not serve now{why}", 10)
    known = [name for lane in serving for name in (lane.number, *lane.version.settings.labels)]
    return Refused(404, f"expected one of the versions or labels {', '.join(dict.fromkeys(known))} of {model}, found {version[:80]}")
