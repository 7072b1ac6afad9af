"""False alarms and delays of one drift detector, on the traffic and the shifts that all of them get: `python -m bench.peers.measure ADAPTER --out FILE [--quick]`.

Runs in the virtual environment of that detector: NumPy and SciPy are all that it needs beside it. An adapter is a module beside this one; it names its peers.

*At equal false alarms*: windows of independent rows against baselines of their own, which no other figure uses, show how large the scores are where nothing has changed. A score is read as its rank
among those of its kind (numbers, categories, missing values), so that features whose scores have different units count alike, and the window's smallest rank decides. It alarms below the
threshold that one window in `BUDGET` of those passes. That is more than a user of the library can do, who has no thousands of windows of which it is known that nothing changed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from bench.drift_shifts import SHIFTS, Change
from bench.drift_traffic import DAILY, KINDS, WINDOW_ROWS, WINDOWS_A_DAY, Traffic, independent, tide

BUDGET = 100
"""Windows to one false alarm."""
BASELINE_ROWS = 5_000
DELAY_LIMIT = 12
"""Windows after which a shift counts as not found."""
RETUNED = "retuned"
_LEAD_IN = 2  # windows before a shift, for detectors that remember


class Reading(NamedTuple):
    """What a detector says of one window."""

    scores: Mapping[str, np.ndarray]
    """By kind of feature, a score of each; a larger one is stranger, NaN is none."""
    alarms: Mapping[str, bool]
    """Whether it alarms, by rule: as the library is shipped, and the ways in which it puts features together."""


class Peer(Protocol):
    """A drift detector as its documentation recommends it."""

    name: str
    version: str
    remembers: bool
    """Whether what it says of a window depends on those before it."""

    def fit(self, rows: dict[str, np.ndarray], times_ns: np.ndarray | None) -> None:
        """Learn a baseline; rows have times where they have a daily cycle."""
        ...

    def restart(self) -> None:
        """Forget all windows, but not the baseline."""
        ...

    def read(self, rows: dict[str, np.ndarray], times_ns: np.ndarray) -> Reading:
        """Read the next window."""
        ...


class Plan(NamedTuple):
    """How much is run."""

    null_baselines: int = 12
    null_windows: int = 100
    kind_baselines: int = 2
    kind_windows: int = 50
    shift_baselines: int = 8
    shift_runs: int = 2


QUICK = Plan(null_baselines=2, null_windows=50, kind_baselines=1, kind_windows=4, shift_baselines=1, shift_runs=1)
"""To see that it runs."""


class Retuned:
    """The rule that alarms once in `BUDGET` windows where nothing has changed."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        kinds = readings[0].scores
        self._null = {kind: np.sort(np.concatenate([_comparable(reading.scores[kind]) for reading in readings])) for kind in kinds}
        ranks = np.sort([self._rank(reading) for reading in readings])
        allowed = len(readings) // BUDGET
        self._threshold = max([0.0, *(rank for rank in ranks.tolist() if np.count_nonzero(ranks <= rank) <= allowed)])
        self.rate = float(np.mean(ranks <= self._threshold))
        """Share of the windows without drift that it alarms in: below 1/BUDGET where scores have ties."""

    def alarms(self, reading: Reading) -> bool:
        return self._rank(reading) <= self._threshold

    def _rank(self, reading: Reading) -> float:
        """Return the smallest share, over the kinds, of scores without drift that are at least as large as the largest of this window; 0 beyond all."""
        return min(self._share(kind, float(_comparable(scores).max())) for kind, scores in reading.scores.items())

    def _share(self, kind: str, score: float) -> float:
        null = self._null[kind]
        return float(len(null) - np.searchsorted(null, score, side="left")) / len(null)


def _comparable(scores: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(scores), -np.inf, scores)


def measure(peer: Peer, plan: Plan) -> dict[str, object]:
    """Return the figures of one detector, ready for JSON."""
    begin = time.process_time()
    readings = [reading for seed in range(plan.null_baselines) for reading in _null(peer, seed, plan)]
    retuned = Retuned(readings)
    spent = time.process_time() - begin
    quiet = {kind: _shares(peer, traffic_of, plan, retuned) for kind, traffic_of in KINDS.items()}
    quiet[DAILY] = _daily_shares(peer, plan, retuned)
    found = _delays(peer, plan, retuned)
    return {
        "peer": peer.name,
        "version": peer.version,
        "null_windows": len(readings),
        "retuned_rate": retuned.rate,
        "cpu_ms_per_window": spent / len(readings) * 1e3,
        "alarms": quiet,
        "delays": found,
    }


def _null(peer: Peer, seed: int, plan: Plan) -> Iterator[Reading]:
    return _quiet(peer, Traffic(100_000 + seed, independent), plan.null_windows)


def _quiet(peer: Peer, traffic: Traffic, windows: int) -> Iterator[Reading]:
    peer.fit(traffic.rows(BASELINE_ROWS), None)
    times_ns = np.zeros(WINDOW_ROWS, dtype=np.int64)
    for _ in range(windows):
        yield peer.read(traffic.rows(WINDOW_ROWS), times_ns)


def _shares(peer: Peer, traffic_of: Callable[[int], Traffic], plan: Plan, retuned: Retuned) -> dict[str, float]:
    """Return the share of windows without drift in which each rule is in alarm."""
    readings = [reading for seed in range(plan.kind_baselines) for reading in _quiet(peer, traffic_of(200_000 + seed), plan.kind_windows)]
    return _shares_of(readings, retuned)


def _daily_shares(peer: Peer, plan: Plan, retuned: Retuned) -> dict[str, float]:
    """Return the same for a daily cycle and a baseline of two whole days."""
    traffic = Traffic(300_000, tide(0.3))
    rows = 2 * WINDOWS_A_DAY * WINDOW_ROWS
    peer.fit(traffic.rows(rows), traffic.times_ns(rows) - traffic.times_ns(1))
    readings = []
    for _ in range(plan.kind_windows):
        times_ns = traffic.times_ns(WINDOW_ROWS)
        readings.append(peer.read(traffic.rows(WINDOW_ROWS), times_ns))
    return _shares_of(readings, retuned)


def _shares_of(readings: Sequence[Reading], retuned: Retuned) -> dict[str, float]:
    shares = {rule: float(np.mean([reading.alarms[rule] for reading in readings])) for rule in readings[0].alarms}
    return shares | {RETUNED: float(np.mean([retuned.alarms(reading) for reading in readings]))}


def _delays(peer: Peer, plan: Plan, retuned: Retuned) -> dict[str, dict[str, list[int]]]:
    """Return, by shift and rule, the windows until it was found in each run: 1 is the first window that has the change in it."""
    delays: dict[str, dict[str, list[int]]] = {name: {} for name in SHIFTS}
    for seed in range(plan.shift_baselines):
        peer.fit(Traffic(400_000 + seed, independent).rows(BASELINE_ROWS), None)
        for name, change in SHIFTS.items():
            for run in range(plan.shift_runs):
                peer.restart()
                for rule, delay in _run(peer, change, Traffic(500_000 + 100 * seed + run, independent), retuned).items():
                    delays[name].setdefault(rule, []).append(delay)
    return delays


def _run(peer: Peer, change: Change, traffic: Traffic, retuned: Retuned) -> dict[str, int]:
    times_ns = np.zeros(WINDOW_ROWS, dtype=np.int64)
    for _ in range(_LEAD_IN):
        rows = traffic.rows(WINDOW_ROWS)
        if peer.remembers:
            peer.read(rows, times_ns)
    found: dict[str, int] = {}
    for delay in range(1, DELAY_LIMIT + 1):
        reading = peer.read(change(traffic.rows(WINDOW_ROWS)), times_ns)
        alarms = {**reading.alarms, RETUNED: retuned.alarms(reading)}
        found |= {rule: delay for rule, alarm in alarms.items() if alarm and rule not in found}
        if len(found) == len(alarms):
            break
    return {rule: found.get(rule, DELAY_LIMIT + 1) for rule in alarms}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapter", help="a module in bench/peers/")
    parser.add_argument("--out", type=Path, required=True, help="where to write the figures")
    parser.add_argument("--quick", action="store_true", help="few windows: to see that it runs")
    arguments = parser.parse_args()
    peers: Sequence[Callable[[], Peer]] = importlib.import_module(f"bench.peers.{arguments.adapter}").PEERS
    plan = QUICK if arguments.quick else Plan()
    arguments.out.write_text(json.dumps([measure(make(), plan) for make in peers]))


if __name__ == "__main__":
    main()
