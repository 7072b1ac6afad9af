"""Served replies beside shadows' replies, to pairs, to windows, to verdicts: one detector for each route, model and shadow."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec

from config.settings import DriftSettings, RouteSettings
from detectors.budget import SharedBudget
from detectors.pairing import Pair, Pairing
from detectors.shadow import ShadowDetector, ShadowState
from records.comparison import COMPARED, PairOutcome, ShadowComparison
from records.exchange import Exchange
from records.metrics import Metric
from records.payload import DecodeResult
from records.status import AgreementStatus
from records.verdict import DriftState, Verdict

WATCHED_AT_MOST: Final = 200
"""Models are named by whoever sends requests."""

_log = logging.getLogger(__name__)

Tolerances: TypeAlias = Mapping[tuple[str, str], float]
"""Of each route and shadow, the share of answers that may differ."""


def tolerances_of(routes: Sequence[RouteSettings]) -> dict[tuple[str, str], float]:
    """Return how many answers of each shadow may differ."""
    return {(route.name, shadow.name): float(shadow.tolerance) for route in routes for shadow in route.shadows}


class ShadowResult(NamedTuple):
    """One window, compared and tested."""

    comparison: ShadowComparison
    verdict: Verdict


class ShadowWatchState(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart must not forget of one shadow. Pairs of which one reply has come, and those of a window that is open, are forgotten."""

    route: str
    detector: ShadowState
    last: ShadowComparison | None = None


class ShadowWatching:
    """Takes the replies of routes that have shadows. For one thread; what is public may be read from others."""

    def __init__(self, settings: DriftSettings, tolerances: Tolerances, budget: SharedBudget, states: Iterable[ShadowWatchState] = ()) -> None:
        """Go on from the states of a former process, as far as the shadows are still there."""
        self.routes: Final = frozenset(route for route, _ in tolerances)
        """That have shadows."""
        self._settings = settings
        self._tolerances = tolerances
        self._budget = budget
        self._pairing = Pairing()
        self._watches: dict[tuple[str, str, str], _Watch] = {}
        self._refused = 0
        for state in states:
            watch = self._watch(state.route, state.detector.model, state.detector.shadow)
            if watch is not None:
                watch.restore(state)

    def add(self, exchange: Exchange, response: DecodeResult, model: str, version: str, now_ns: int) -> list[ShadowResult]:
        """Take one reply; return the windows that it completes. `model` and `version` are of what was served."""
        results = []
        for pair in self._pairing.add(exchange, response, model, version):
            watch = self._watch(exchange.route, pair.served.model, pair.shadow.arm)
            if watch is None:
                self._refused += 1
            elif watch.take(pair, now_ns) >= self._settings.window_rows:
                results.append(watch.close(now_ns))
        return results

    def step(self, now_ns: int) -> list[ShadowResult]:
        """Return the windows whose time is over."""
        limit_ns = int(self._settings.window_time * 1e9)
        return [watch.close(now_ns) for watch in self._watches.values() if watch.opened_at_ns and now_ns - watch.opened_at_ns >= limit_ns]

    def share_budget(self) -> None:
        """Take the evidence that an alert needs now."""
        threshold = self._budget.threshold("shadows", len(self._watches))
        for watch in self._watches.values():
            watch.set_threshold(threshold)

    def states(self) -> tuple[ShadowWatchState, ...]:
        """Return what a restart must not forget."""
        return tuple(watch.state for watch in self._watches.values())

    def statuses(self) -> tuple[AgreementStatus, ...]:
        """Return what people are shown."""
        return tuple(watch.status() for watch in self._watches.values())

    def counters(self) -> dict[tuple[str, ...], int]:
        """Return what is counted here, as the metrics page takes it."""
        name = Metric.SHADOW_PAIRS.metric_name
        counts = {(name, *key, outcome.value): count for key, watch in list(self._watches.items()) for outcome, count in watch.outcomes()}
        return counts | {(Metric.SHADOW_UNPAIRED.metric_name,): self._pairing.unpaired + self._refused}

    def _watch(self, route: str, model: str, arm: str) -> _Watch | None:
        """Return the watch of a shadow; None where it is not in the settings any more, or too many models are named."""
        key = route, model, arm
        watch = self._watches.get(key)
        if watch is None:
            tolerance = self._tolerances.get((route, arm))
            if tolerance is None or len(self._watches) >= WATCHED_AT_MOST:
                return None
            watch = self._watches[key] = _Watch(route, model, arm, self._settings, tolerance)
            self.share_budget()
        return watch


class _Watch:
    """One model and shadow: its detector, and what it counted since the process started."""

    def __init__(self, route: str, model: str, arm: str, settings: DriftSettings, tolerance: float) -> None:
        window_seconds = None if settings.budget.windows else settings.window_time
        self._detector = ShadowDetector(model, arm, threshold=1.0, tolerance=tolerance, window_seconds=window_seconds)
        self._route = route
        self._version = ""
        self._outcomes: Counter[PairOutcome] = Counter()
        self._last: ShadowComparison | None = None
        self._last_verdict: Verdict | None = None

    @property
    def opened_at_ns(self) -> int:
        """When the open window began; 0 while nothing is in it."""
        return self._detector.opened_at_ns

    @property
    def state(self) -> ShadowWatchState:
        """What a restart must not forget."""
        return ShadowWatchState(route=self._route, detector=self._detector.state, last=self._last)

    def restore(self, state: ShadowWatchState) -> None:
        """Go on from where a former process was."""
        self._detector.restore(state.detector)
        self._last = state.last

    def set_threshold(self, threshold: float) -> None:
        """Set the evidence at which an alert may be raised."""
        self._detector.set_threshold(threshold)

    def take(self, pair: Pair, now_ns: int) -> int:
        """Take a pair; return how many are in the open window."""
        self._outcomes[self._detector.add(pair, now_ns)] += 1
        self._version = pair.served.version
        return self._detector.pairs

    def close(self, now_ns: int) -> ShadowResult:
        """Close the window."""
        self._last, self._last_verdict = self._detector.close(now_ns, self._version)
        if not self._last.compared and self._last.outcomes.get(PairOutcome.OTHER_SCHEMA):
            _log.warning(
                "shadow %s of route %s has no output with the name and shape of one that is served: it is not compared", self._last.shadow, self._route
            )
        return ShadowResult(self._last, self._last_verdict)

    def outcomes(self) -> list[tuple[PairOutcome, int]]:
        """Return the pairs since the process started."""
        return [(outcome, self._outcomes[outcome]) for outcome in PairOutcome]

    def status(self) -> AgreementStatus:
        """Return what people are shown."""
        detector, verdict = self._detector, self._last_verdict
        return AgreementStatus(
            route=self._route,
            arm=detector.shadow,
            model=detector.model,
            compared=sum(self._outcomes[outcome] for outcome in COMPARED),
            agreed=self._outcomes[PairOutcome.AGREED],
            state=DriftState.FIRING if detector.firing else DriftState.OK,
            windows=detector.windows,
            tolerance=detector.tolerance,
            evidence=verdict.evidence if verdict else 0.0,
            threshold=detector.threshold,
            summary=verdict.features[0].summary if verdict else "",
            last=self._last,
        )
